"""What contract 2 and 5 make of a batch. No code of the service, and no clock: a test ends waits and leases."""

from collections import Counter

ACTIONS = {
    "stage": "SAVED > STAGING", "run": "STAGED > ANALYZING", "pause": "ANALYZING > PAUSED",
    "resume": "PAUSED > ANALYZING", "cancel": "ANALYZING PAUSED > FAILED",
    "restage": "COMPLETED FAILED > STAGING", "reset": "SAVED COMPLETED FAILED > SAVED",
}  # fmt: skip
LEASED_IN = {"STAGE": ["STAGING"], "ANALYZE": ["ANALYZING"]}
COUNTS_IN = {"STAGE": ["STAGING"], "ANALYZE": ["ANALYZING", "PAUSED"]}


class Task:
    def __init__(self, kind: str, run: int, key: int, status: str) -> None:
        self.kind, self.run, self.key, self.status, self.attempt = kind, run, key, status, 0
        self.waits = self.ran_out = False  # waits for its next attempt; its lease ran out
        self.uses: dict[str, tuple[str, str]] = {}  # each token given out: what it was used for, and the answer

    def lease(self, token: str) -> None:
        self.status, self.attempt, self.ran_out, self.uses[token] = "LEASED", self.attempt + 1, False, ("", "")

    def is_held_by(self, token: str) -> bool:
        return [token] == [*self.uses][-1:] and not self.uses[token][0] and self.status in ("QUEUED", "LEASED")


class Batch:
    def __init__(self, documents: int, answers: int, ready: int, max_attempts: int, most_failed: int | None) -> None:
        self.documents, self.answers, self.ready = documents, answers, ready  # answers: prompts x models
        self.max_attempts, self.most_failed = max_attempts, 999 if most_failed is None else most_failed
        self.state, self.run, self.failure, self.unwritten, self.archived = "SAVED", 0, None, 0, False
        self.critical, self.answered, self.anew = -1, set[int](), False  # the run given up; keys; whether all is redone
        self.tasks, self.trail = list[Task](), ["create"]  # the triggers: as many as the version says

    def enter(self, trigger: str, state: str, failure: str | None = None) -> None:
        self.state, self.failure, self.trail = state, failure, [*self.trail, trigger]

    def count(self, kind: str) -> Counter[str]:
        return Counter(task.status for task in self.tasks if (task.kind, task.run) == (kind, self.run))

    def can(self, action: str) -> bool:
        is_open = {"QUEUED", "LEASED"} & self.count("ANALYZE").keys()
        guards = {"stage": self.ready or self.documents * self.answers, "pause": is_open}
        return bool(guards.get(action, True)) and self.state in ACTIONS[action].split()[:-2] and not self.archived

    def act(self, action: str, slice_size: int, anew: bool = False) -> None:
        self.enter(action, ACTIONS[action].split()[-1], "cancelled" if action == "cancel" else None)
        if self.state == "STAGING":
            self.run, self.unwritten, self.anew = self.run + 1, self.ready or self.documents, anew
            self.write(slice_size)
        self.settle()

    def write(self, most: int) -> None:
        self.unwritten -= (amount := min(most, self.unwritten))
        self.make("ANALYZE" if self.ready else "STAGE", *[0] * amount)

    def make(self, kind: str, *keys: int) -> None:
        there = set() if self.anew or kind == "STAGE" else self.answered
        self.tasks += [Task(kind, self.run, key, "COMPLETED" if key in there else "QUEUED") for key in keys]

    def settle(self) -> None:
        read, answers = self.count("STAGE"), self.count("ANALYZE")
        is_read = not (self.unwritten or read["QUEUED"] or read["LEASED"])
        for state, is_due, *way in (
            ("STAGING", read["FAILED"], "staging_failed", "FAILED", "staging_failed"),
            ("STAGING", is_read and not answers, "staging_failed", "FAILED", "nothing_to_analyse"),
            ("STAGING", is_read, "staging_completed", "STAGED"),
            ("ANALYZING", self.critical == self.run, "critical_error", "FAILED", "critical_error"),
            ("ANALYZING", answers["FAILED"] > self.most_failed, "critical_error", "FAILED", "failure_limit"),
            ("ANALYZING", answers.keys() == {"FAILED"}, "critical_error", "FAILED", "all_tasks_failed"),
            ("ANALYZING", not {"QUEUED", "LEASED"} & answers.keys(), "tasks_finished", "COMPLETED"),
        ):
            if is_due and self.state == state:
                self.enter(*way)

    def report(self, task: Task, token: str, what: str, *how: str) -> str | None:
        """The status answered to `completed` (`empty`), `failed` (`final`, `critical`), `released` or `renewed`."""
        used_for, answer = task.uses.get(token, ("", ""))
        if used_for == what:
            return answer
        self.answered |= {task.key} if (what, task.kind) == ("completed", "ANALYZE") and token in task.uses else set()
        counts = not self.archived and task.run == self.run and self.state in COUNTS_IN[task.kind]
        if not task.is_held_by(token) or not (counts or what == "released"):
            return None  # refused
        task.attempt -= what == "released"
        again = what == "released" or (what == "failed" and not how and task.attempt < self.max_attempts)
        task.status = {"completed": "COMPLETED", "renewed": "LEASED"}.get(what, "QUEUED" if again else "FAILED")
        self.critical = task.run if "critical" in how else self.critical
        task.ran_out &= what != "renewed"
        task.uses[token] = ("", "") if what == "renewed" else (what, task.status)
        self.make("ANALYZE", *range(self.answers * ((task.kind, task.status, *how) == ("STAGE", "COMPLETED"))))
        return task.status

    def sweep(self) -> None:
        for task in (each for each in self.tasks if each.status == "LEASED" and each.ran_out):
            task.attempt -= self.archived or task.run != self.run or self.state not in COUNTS_IN[task.kind]  # run over
            task.status = "QUEUED" if task.attempt < self.max_attempts else "FAILED"
        self.settle()
        self.write(self.unwritten if self.state == "STAGING" else 0)
        self.settle()
