"""The facts that a guard may use: counts of a batch, read under the batch's lock."""

from dataclasses import dataclass, field
from datetime import datetime

from app.domain.usage import Usage


@dataclass(frozen=True)
class Counts:
    """The tasks of one kind in the present run, counted by status.

    `critical` is a part of `failed`, `skipped` and `truncated` are parts of `completed`; `found` counts
    the tasks that a folder added.
    """

    queued: int = 0
    leased: int = 0
    completed: int = 0
    failed: int = 0
    critical: int = 0
    skipped: int = 0
    found: int = 0
    truncated: int = 0

    @property
    def total(self) -> int:
        return self.queued + self.leased + self.completed + self.failed

    @property
    def written(self) -> int:
        """How many tasks were made of the batch's own input; they are written in slices."""
        return self.total - self.found

    @property
    def open(self) -> int:
        return self.queued + self.leased


@dataclass(frozen=True)
class Facts:
    """`documents`, `prompts`, `models` and `ready_tasks` count the batch's input; the rest is of its present run."""

    documents: int = 0
    prompts: int = 0
    models: int = 0
    ready_tasks: int = 0
    staging: Counts = field(default_factory=Counts)
    analysis: Counts = field(default_factory=Counts)
    max_failed_tasks: int | None = None
    idle_seconds: float = 0.0  # since the last lease or report of the run, while no lease is held
    staging_timeout_seconds: float = 3600.0
    usage: Usage = field(default_factory=Usage)
    input_is_unread: bool = False  # the batch is made of a file whose lines are not read yet
    bad_lines: int = 0  # of that file; with one of them, no line is taken
    deadline_at: datetime | None = None  # as it is now: a pause moves it
    is_overdue: bool = False  # the deadline has passed, and the batch is not PAUSED

    @property
    def all_tasks_written(self) -> bool:
        """Whether every task row of the run is written; they are written in slices."""
        if self.input_is_unread:
            return False
        return self.staging.written >= self.documents and self.analysis.total >= self.ready_tasks
