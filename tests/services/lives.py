"""Random lives of several batches, lived through the services and through the model at once, compared at every step."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from app import db
from app.db import reading
from app.domain.leases import Outcome
from app.errors import Refusal
from app.models import LateResult, Task
from app.services import Services
from app.services.batch.batch_rows import look_at
from app.services.batch.batch_view import batch_view
from app.services.input import edits
from app.services.queue.reports import Report
from tests.services import model, stories
from tests.services.comparison import put_away, shown_of, told_of
from tests.services.stories import ERROR, OPERATOR

STEPS = 50  # of a life
SLICE, HOUR = 2, 3600  # staging's slices are this small; no lease runs out by itself
few = st.integers(0, 3)
hows = st.sampled_from(["", "", "", "", "wait", "final", "critical", "empty"])
# One rule with weights, and not a rule for each: Hypothesis leaves some rules out of a life, and few lives got far.
WEIGHTS = {
    "go_on": 5, "lease": 5, "report": 3, "report_all": 3, "report_anything": 2, "report_with_a_foreign_token": 1,
    "release": 1, "heartbeat": 1, "leases_run_out": 1, "waits_end": 1, "sweep": 2, "ask": 1, "edit": 1, "create": 1,
}  # fmt: skip
MOVES = [move for move, weight in WEIGHTS.items() for _ in range(weight)]
_tasks = db.table_of(Task).c
_TASKS = select(_tasks.batch_id, _tasks.id, _tasks.kind, _tasks.run, _tasks.status, _tasks.attempt).order_by(_tasks.id)
Lease = tuple[str, str]  # task id, lease token


class Lives(RuleBasedStateMachine):
    """One life of up to three batches. A subclass names the services, and counts what was `seen`."""

    services: Services
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.batches: dict[int, model.Batch] = {}
        self.tasks: dict[str, tuple[model.Batch, model.Task]] = {}
        self.leases: list[Lease] = []  # all that were given out
        self.late: set[tuple[str, str, str]] = set()
        self.steps = 0

    @initialize(documents=st.integers(1, 3), models=st.integers(1, 2), limit=st.sampled_from([None, 0, 1]))
    def begin(self, documents: int, models: int, limit: int | None) -> None:
        self.create_of_documents(documents, models, attempts=2, limit=limit)
        (first,) = self.batches
        self.stored = _TASKS.where(_tasks.batch_id >= first)

    @rule(move=st.sampled_from(MOVES), batch=few, nth=st.integers(0, 30), how=hows)
    def step(self, move: str, batch: int, nth: int, how: str) -> None:
        """Make one move: about a batch for which it is of use, if there is one; with the nth of what may be chosen."""
        of_use = {"lease": self.has_work, "report": self.held, "report_all": self.held, "go_on": self.may_go_on}
        suited = [each for each in self.batches.items() if move in of_use and of_use[move](each[1])]
        chosen = suited or [*self.batches.items()]
        getattr(self, move)(*chosen[batch % len(chosen)], nth, how)

    # --- what operators do

    def create(self, _: int, __: model.Batch, nth: int, ___: str) -> None:
        if len(self.batches) < 3 and nth % 3:
            self.create_of_documents(nth % 4, nth % 3, attempts=nth % 3 + 1, limit=[None, 0, 1][nth // 3 % 3])
        elif len(self.batches) < 3:
            self.batches[stories.create_ready(self.services, nth % 4 + 1)] = model.Batch(0, 0, nth % 4 + 1, 3, None)

    def create_of_documents(self, documents: int, models: int, attempts: int, limit: int | None) -> None:
        options = {"max_attempts": attempts, "max_failed_tasks": limit}
        batch_id = stories.create(self.services, documents, 1, models, **options)
        self.batches[batch_id] = model.Batch(documents, models, 0, attempts, limit)

    def ask(self, batch_id: int, batch: model.Batch, nth: int, how: str) -> None:
        """Ask for anything; with an If-Match that fits, is off or is not there; in earnest or for a rehearsal."""
        action, off, dry = [*model.ACTIONS][nth % 7], {"wait": 0, "final": 1}.get(how), nth >= 20
        assert self.services.batches.can_transition(batch_id, action)[0] == batch.can(action)
        answer = stories.ask(
            self.services, batch_id, action, if_version=None if off is None else len(batch.trail) + off, dry_run=dry
        )
        assert answer["success"] == (batch.can(action) and not off), answer
        self.seen[f"answer: {answer.get('code', 'done')}"] += 1
        if answer["success"] and not dry:
            batch.act(action, SLICE)

    def go_on(self, batch_id: int, batch: model.Batch, nth: int, how: str) -> None:
        """Ask for something that is allowed, mostly the next in a batch's life; a new run may do all anew."""
        if allowed := [action for action in model.ACTIONS if batch.can(action)]:
            action = allowed[0 if nth % 3 else nth % len(allowed)]
            anew = how in ("wait", "final")
            stories.act(self.services, batch_id, action, **({"reuse": "none"} if anew else {}))
            batch.act(action, SLICE, anew)

    def edit(self, batch_id: int, batch: model.Batch, nth: int, _: str) -> None:
        edit = ["add_documents", "rename", "archive" if nth > 20 else "add_documents"][nth % 3]
        if batch.archived or not self.may_be_edited(batch, edit):
            with pytest.raises(Refusal):
                self.carry_out(edit, batch_id)
            return
        self.carry_out(edit, batch_id)
        batch.trail.append(edit)
        batch.documents += edit == "add_documents"
        batch.archived = edit == "archive"

    # --- what workers do

    def lease(self, batch_id: int, batch: model.Batch, nth: int, _: str) -> None:
        of_one, most = nth % 2 == 0, nth // 4 + 1
        chosen = [batch] if of_one else [*self.batches.values()]
        there = [task_id for task_id, (of, task) in self.tasks.items() if of in chosen and is_leasable(of, task)]
        leased = stories.lease(self.services, batch_id if of_one else None, most, lease_seconds=HOUR)
        assert {each["id"] for each in leased} <= set(there)
        # Of all batches, those that were seen with work a moment ago may come first; but none is left out for nothing.
        assert min(most, len(there)) >= len(leased) >= (min(most, len(there)) if of_one else min(1, len(there)))
        for each in leased:
            task = self.tasks[each["id"]][1]
            task.lease(each["lease_token"])
            assert (each["kind"], each["run"], each["attempt"]) == (task.kind, task.run, task.attempt)
            self.leases.append((each["id"], each["lease_token"]))

    def report(self, _: int, batch: model.Batch, nth: int, how: str) -> None:
        """Report some leases of a batch."""
        outcome = "failed" if how in ("wait", "final", "critical") or nth % 4 == 1 else "completed"
        self.send([(lease, outcome, how) for lease in self.held(batch)[nth % 2 :: 2]])

    def report_all(self, _: int, batch: model.Batch, __: int, how: str) -> None:
        """Report every lease of a batch alike, so that phases end, well or badly."""
        self.send([(lease, "failed" if how == "final" else "completed", how) for lease in self.held(batch)])

    def report_anything(self, _: int, __: model.Batch, nth: int, how: str) -> None:
        """Report with tokens of any age, several at once: repetitions, contradictions, and what comes too late."""
        chosen = self.leases[-1 - nth % 8 :: -5][:4]
        items = [(lease, ["completed", "failed"][(nth + i) % 2], how) for i, lease in enumerate(chosen)]
        self.send([*items, *items[:1]])

    def report_with_a_foreign_token(self, _: int, __: model.Batch, nth: int, ___: str) -> None:
        if self.leases:
            task_id, token = self.leases[nth % len(self.leases)][0], self.leases[-1 - nth % len(self.leases)][1]
            self.send([((task_id, token), "completed", ""), ((task_id, "nonsense.1.1"), "failed", "critical")])

    def release(self, _: int, __: model.Batch, nth: int, ___: str) -> None:
        self.hand_in("released", self.services.queue.release, nth)

    def heartbeat(self, _: int, __: model.Batch, nth: int, ___: str) -> None:
        self.hand_in("renewed", lambda leases: self.services.queue.heartbeat(leases, HOUR), nth)

    # --- what time does

    def leases_run_out(self, _: int, __: model.Batch, nth: int, ___: str) -> None:
        leased = [task for _, task in self.tasks.values() if task.status == "LEASED"]
        for task in leased[nth % 2 :: 2] if nth % 3 else leased:
            task.ran_out = True
        ran_out = [{"id": i} for i, (_, task) in self.tasks.items() if task.ran_out and task.status == "LEASED"]
        stories.let_leases_run_out(self.services, ran_out)

    def waits_end(self, _: int, __: model.Batch, ___: int, ____: str) -> None:
        waiting = [(i, task) for i, (_, task) in self.tasks.items() if task.waits]
        stories.let_waits_end(self.services, [{"id": i} for i, _ in waiting])
        for _, task in waiting:
            task.waits = False

    def sweep(self, _: int, __: model.Batch, ___: int, ____: str) -> None:
        self.services.sweeper.sweep()
        for batch in self.batches.values():
            batch.sweep()

    # --- the comparison

    @invariant()
    def they_do_not_differ(self) -> None:
        self.steps += 1
        there: dict[int, list[Any]] = {batch_id: [] for batch_id in self.batches}
        with reading(self.services.engine) as connection:
            shown = {batch.id: batch_view(batch, facts) for batch, facts in look_at(connection, [*self.batches])}
            for row in connection.execute(self.stored):
                there[row.batch_id].append(row)
        for batch_id, batch in self.batches.items():
            assert (batch_id in shown) == (not batch.archived)
            assert batch.archived or shown_of(shown[batch_id]) == told_of(batch)
            self.seen[f"failure: {batch.failure}"] += 1
            self.seen["reused"] += sum((t.status, t.attempt) == ("COMPLETED", 0) for t in batch.tasks)
            assert [row[2:] for row in there[batch_id]] == [(t.kind, t.run, t.status, t.attempt) for t in batch.tasks]
            self.tasks |= {str(row.id): (batch, t) for row, t in zip(there[batch_id], batch.tasks, strict=True)}

    def teardown(self) -> None:
        """Compare the audit trails and late results, and put every batch away: the next life sees none of them."""
        self.seen.update(["lives"] if self.steps else [])
        self.seen["whole lives"] += self.steps >= STEPS
        try:
            self.compare_what_is_kept()
        finally:
            put_away(self.services, [*self.batches])

    def compare_what_is_kept(self) -> None:
        late = db.table_of(LateResult).c
        with reading(self.services.engine) as connection:
            of_these = late.task_id.in_([int(task_id) for task_id in self.tasks])
            kept = connection.execute(select(late.task_id, late.lease_token, late.outcome).where(of_these)).all()
        assert sorted((str(row[0]), *row[1:]) for row in kept) == sorted(self.late)
        for batch_id, batch in self.batches.items():
            rows = stories.audit(self.services, batch_id)
            assert [row["trigger"] for row in rows] == batch.trail
            assert [row["version"] for row in rows] == [*range(1, len(batch.trail) + 1)]
            self.seen.update(batch.trail)

    # --- how

    def has_work(self, batch: model.Batch) -> bool:
        return any(is_leasable(batch, task) for task in batch.tasks)

    def may_go_on(self, batch: model.Batch) -> bool:
        return not batch.archived and batch.can("stage") | batch.can("run") | batch.can("resume") | batch.can("restage")

    def held(self, batch: model.Batch) -> list[Lease]:
        """The leases of a batch whose tokens are current."""
        mine = [lease for lease in self.leases if self.tasks[lease[0]][0] is batch]
        return [(task_id, token) for task_id, token in mine if self.tasks[task_id][1].is_held_by(token)]

    def hand_in(self, what: str, call: Callable[[list[Lease]], list[dict[str, Any]]], nth: int) -> None:
        """Release or renew two leases of any age; hold the answers against the model's."""
        leases = list(dict.fromkeys(self.leases[-1 - nth % 8 :: -3][:2]))
        for (task_id, token), answer in zip(leases, call(leases), strict=True):
            batch, task = self.tasks[task_id]
            assert answer["ok"] == (batch.report(task, token, what) is not None), answer
            self.seen[f"{what}: {answer['ok']}"] += 1

    def may_be_edited(self, batch: model.Batch, edit: str) -> bool:
        rests = batch.state in ("SAVED", "COMPLETED", "FAILED")
        takes_documents = batch.state == "SAVED" and not batch.ready
        return {"rename": True, "archive": rests, "add_documents": takes_documents}[edit]

    def carry_out(self, edit: str, batch_id: int) -> None:
        if edit == "add_documents":
            document = stories.document(text=f"added {self.batches[batch_id].documents}")
            edits.add_documents(self.services.batches, batch_id, [document], OPERATOR)
        elif edit == "rename":
            edits.rename(self.services.batches, batch_id, {"name": "renamed"}, OPERATOR)
        else:
            edits.archive(self.services.batches, batch_id, OPERATOR)

    def send(self, items: list[tuple[Lease, str, str]]) -> None:
        """Report in one call, to the services and to the model; hold the verdicts against each other."""
        if not items:
            return
        items = sorted(items, key=lambda item: self.tasks[item[0][0]][1].kind)  # what is read finds late answers
        verdicts, states = self.services.batches.report([body_of(*item) for item in items])
        for ((task_id, token), outcome, how), verdict in zip(items, verdicts, strict=True):
            batch, task = self.tasks[task_id]
            words = {"completed": ["empty"], "failed": ["final", "critical"]}[outcome]
            was = task.uses.get(token)
            answer = batch.report(task, token, outcome, *[word for word in words if word == how])
            assert (None if verdict.refusal else verdict.status) == answer, verdict
            if answer is None and was is not None:
                self.late.add((task_id, token, outcome))
            elif answer == "QUEUED" and was == ("", ""):
                task.waits = how == "wait"
            self.seen[f"report: {'refused' if answer is None else 'repeated' if was and was[0] else 'counts'}"] += 1
        for batch in {self.tasks[task_id][0] for (task_id, _), _, _ in items}:
            batch.settle()
        assert states == {i: batch.state for i, batch in self.batches.items() if i in states}


def is_leasable(batch: model.Batch, task: model.Task) -> bool:
    is_here = batch.state in model.LEASED_IN[task.kind] and task.run == batch.run and not batch.archived
    return is_here and task.status == "QUEUED" and not task.waits


def body_of(lease: Lease, outcome: str, how: str) -> Report:
    body: dict[str, Any] = {"lease_token": lease[1]}
    if outcome == "completed":
        body["result"] = {"text": "" if how == "empty" else "an answer"}
    else:
        body |= {"error": ERROR, "retryable": how != "final", "critical": how == "critical"}
        body["retry_after_seconds"] = HOUR if how == "wait" else 0
    return Report.of(lease[0], Outcome(outcome), body)
