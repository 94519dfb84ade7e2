"""Random lives of batches that are made of a file: the statuses go one way, and no line is lost or in two files.

A life is a random walk of calls, reports and passes of the sweeper. After each step the batch is looked at as a caller
of /v1/batches sees it.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest

from app.domain.file.batches import FINAL, Status
from app.errors import Refusal
from app.services import Services
from app.services.batch.orders import Order
from app.services.file_batch.file_batches import ShownFileBatch
from app.services.upkeep.verify import verify
from tests.services.stories import ERROR, create_of_file, let_leases_run_out, let_waits_end, tasks_of
from tests.support.effort import effort

LIVES = effort(test=15, soak=500)  # of 40 steps: 15 take every way between two statuses several times
STEPS = 40
OPERATOR = Order("an operator", "operator")
OFTEN = ("sweep", "sweep", "lease", "complete", "complete", "fail", "run_out", "release", "pause", "resume", "expire")
RARE = ("cancel", "retry", "critical")
PAST = "2026-01-01T00:00:00Z"
V, I, FG, C, F, E, CG, CD = (  # noqa: E741
    Status.VALIDATING, Status.IN_PROGRESS, Status.FINALIZING, Status.COMPLETED, Status.FAILED, Status.EXPIRED,
    Status.CANCELLING, Status.CANCELLED,
)  # fmt: skip
# status -> those that may follow it; a step may pass through several
WAYS: dict[Status, set[Status]] = {
    V: {I, F, CG},
    I: {FG, CG},
    FG: {C, F, E},
    CG: {CD, F},
    C: set(), F: set(), E: set(), CD: set(),
}  # fmt: skip


def reachable(status: Status) -> set[Status]:
    found = {status}
    while more := {after for before in found for after in WAYS[before]} - found:
        found |= more
    return found


class Life:
    """One batch, what a random hand does to it, and what is seen of it."""

    def __init__(self, services: Services, chance: random.Random) -> None:
        self._services = services
        self._chance = chance
        self.ids = [str(number) for number in range(chance.randint(1, 4))]
        is_bad = chance.random() < 0.15
        lines = [self._line(each) for each in self.ids] + ([b"bad"] if is_bad else [])
        self.number = create_of_file(services, b"\n".join(lines))
        self.held: list[dict[str, Any]] = []
        self.seen = [self.show()]
        self.frozen: tuple[Any, ...] | None = None

    @property
    def ident(self) -> str:
        return f"batch_{self.number}"

    def show(self) -> ShownFileBatch:
        return self._services.file_batches.show(self.ident)

    def step(self) -> str:
        """Do something at random; return what."""
        name = self._chance.choice(RARE if self._chance.random() < 0.12 else OFTEN)
        with suppress(Refusal):  # it was not possible now
            getattr(self, f"_{name}")()
        return name

    def look(self, did: str) -> None:
        """Check the way from the status before to the present one, and what holds in it."""
        before, after = self.seen[-1], self.show()
        self.seen.append(after)
        if did == "retry" and after.batch.run > before.batch.run:
            self.frozen = None
        else:
            assert after.status in reachable(before.status), f"{before.status} -> {after.status} by {did}"
        counts = after.facts.analysis
        assert counts.completed + counts.failed <= max(after.batch.ready_task_count, counts.total)
        if after.status in FINAL:
            self._check_end(after)

    def _check_end(self, shown: ShownFileBatch) -> None:
        contents = tuple(self._content(number) for number in (shown.row.output_file_id, shown.row.error_file_id))
        present = (shown.status, shown.row.output_file_id, shown.row.error_file_id, shown.row.settled_at, contents)
        if shown.is_settled:
            assert self.frozen in (None, present), "a final status changed"
            self.frozen = present
        if shown.status is not F:
            ids = [orjson.loads(line)["custom_id"] for content in contents for line in content.splitlines()]
            assert sorted(ids) == self.ids
        for content in contents:
            in_order = [orjson.loads(line)["custom_id"] for line in content.splitlines()]
            assert in_order == sorted(in_order)

    def _content(self, number: int | None) -> bytes:
        if number is None:
            return b""
        return b"".join(self._services.files.content(self._services.files.show(f"file-{number}")))

    def _line(self, custom_id: str) -> bytes:
        body = {"model": "m", "messages": [{"role": "user", "content": self._chance.choice("ab")}]}
        return orjson.dumps({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body})

    def _sweep(self) -> None:
        self._services.sweeper.sweep()

    def _lease(self) -> None:
        waiting = [task for task in tasks_of(self._services, self.number) if task["status"] == "QUEUED"]
        let_waits_end(self._services, waiting)
        self.held += self._services.queue.lease("w", batch_id=self.number).tasks

    def _report(self, do: Callable[[dict[str, Any]], None]) -> None:
        if self.held:
            do(self.held.pop(self._chance.randrange(len(self.held))))

    def _complete(self) -> None:
        self._report(lambda task: self._services.batches.handle_task_completion(
            task["id"], {"lease_token": task["lease_token"], "result": {"status_code": 200, "body": {"choices": []}}}
        ))  # fmt: skip

    def _fail(self, **more: Any) -> None:
        retryable = {"retryable": self._chance.random() < 0.5}
        self._report(lambda task: self._services.batches.handle_task_failure(
            task["id"], {"lease_token": task["lease_token"], "error": ERROR, **retryable, **more}
        ))  # fmt: skip

    def _critical(self) -> None:
        self._fail(critical=True)

    def _run_out(self) -> None:
        leased = {task["id"] for task in tasks_of(self._services, self.number) if task["status"] == "LEASED"}
        held = {task["id"]: task for task in self.held if task["id"] in leased}  # one may be held by two leases
        let_leases_run_out(self._services, held.values())
        self._services.sweeper.sweep()

    def _release(self) -> None:
        self._report(lambda task: self._services.queue.release([(task["id"], task["lease_token"])]))

    def _pause(self) -> None:
        self._services.file_batches.act(self.ident, "pause", OPERATOR)

    def _resume(self) -> None:
        self._services.file_batches.act(self.ident, "resume", OPERATOR)

    def _expire(self) -> None:
        if self._chance.random() < 0.2:
            self._services.file_batches.act(self.ident, "resume", Order("o", "operator", context={"deadline_at": PAST}))

    def _cancel(self) -> None:
        self._services.file_batches.cancel(self.ident, OPERATOR)

    def _retry(self) -> None:
        self._services.file_batches.retry(self.ident, OPERATOR)


@pytest.mark.soak
@pytest.mark.parametrize("life", range(LIVES))
def test_a_life(services: Services, life: int) -> None:
    chance = random.Random(life)
    lived = Life(services, chance)
    for _ in range(STEPS):
        lived.look(lived.step())
    lived.look("nothing")
    assert list(verify(services.engine)) == []


def test_the_ways_end() -> None:
    assert {status for status, after in WAYS.items() if not after} == FINAL
    assert reachable(V) == set(Status)
