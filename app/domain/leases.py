"""The words for tasks and leases, and how long a task waits after a failed attempt."""

from enum import StrEnum


class TaskKind(StrEnum):
    STAGE = "STAGE"  # read one document, extract its text
    ANALYZE = "ANALYZE"  # obtain one model answer


class TaskStatus(StrEnum):
    QUEUED = "QUEUED"
    LEASED = "LEASED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Outcome(StrEnum):
    """How a worker reports that a lease ended."""

    COMPLETED = "completed"
    FAILED = "failed"


RELEASED = "released"  # what a lease token was used for when its task was handed back
OPEN = (TaskStatus.QUEUED, TaskStatus.LEASED)
FINISHED = (TaskStatus.COMPLETED, TaskStatus.FAILED)
POISONED = "poisoned"  # the error code of a task that used up its attempts without a report
ERASED = "erased"  # of one whose content was erased
TOO_LARGE = "too_large"  # and of one whose prompt is too large to be rendered
BACKOFF_LIMIT_SECONDS = 300.0
STILL_SECONDS = 60.0  # without an answer, before which no batch counts as stuck
PATIENT_SECONDS = 900.0  # the same while workers that hold its tasks are heard: longer than calls usually may take
SEEN_LATE_SECONDS = 12.0  # by which the time of a worker's last sighting may be behind


def is_silent(quiet_seconds: float, lease_seconds: int) -> bool:
    """Whether a worker that holds leases has missed a heartbeat: one is due after a third of a lease's length."""
    return quiet_seconds > lease_seconds * 2 / 3 + SEEN_LATE_SECONDS


def stands_still(still_seconds: float, lease_seconds: int, is_heard: bool = False) -> bool:
    """Whether a batch at work counts as stuck: nothing was answered for a minute, and for twice a lease's length.

    With `is_heard`, workers hold its tasks and send heartbeats: their calls may be slow, so it takes PATIENT_SECONDS.
    """
    return still_seconds >= max(PATIENT_SECONDS if is_heard else STILL_SECONDS, 2.0 * lease_seconds)


def backoff_seconds(attempt: int) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1): 1 s, doubled by each, up to 5 minutes."""
    return float(min(2.0 ** (attempt - 1), BACKOFF_LIMIT_SECONDS)) if attempt < 20 else BACKOFF_LIMIT_SECONDS
