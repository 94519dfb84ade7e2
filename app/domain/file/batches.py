"""Batches that are made of a file: ids, windows, and the status that OpenAI's API has for each state. Pure."""

import re
from enum import StrEnum

from app.domain import failures
from app.domain.ids import plain_number
from app.domain.transitions import ENDS_OF_RUN, REPORTS_IN, BatchState

BATCH = "batch_"  # what an id begins with
LEAST_WINDOW_SECONDS, MOST_WINDOW_SECONDS = 5 * 60, 30 * 86_400
MOST_PAIRS = 16  # of metadata
LONGEST_KEY, LONGEST_VALUE = 64, 512
_UNITS = {"m": 60, "h": 3_600, "d": 86_400}
_WINDOW = re.compile(r"([1-9][0-9]{0,5})([mhd])")


class Status(StrEnum):
    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


_STAGING_FAILURES = frozenset({failures.INVALID_INPUT, "staging_failed", "nothing_to_analyse", "staging_timeout"})
# failure code -> the status when the files are made, and until then; every other failure of a run is FAILED
_ENDS = {
    None: (Status.COMPLETED, Status.FINALIZING),
    failures.CANCELLED: (Status.CANCELLED, Status.CANCELLING),
    failures.EXPIRED: (Status.EXPIRED, Status.FINALIZING),
    "all_tasks_failed": (Status.COMPLETED, Status.FINALIZING),
}
# failure code -> the error code of a line that never ran; with other failures such a line is in no file
UNFINISHED = {failures.CANCELLED: "batch_cancelled", failures.EXPIRED: "batch_expired"}
FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.EXPIRED, Status.CANCELLED})


def window_seconds(text: str) -> int | None:
    """Read a completion window such as `24h`; None if it is none, or out of bounds."""
    found = _WINDOW.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    return seconds if LEAST_WINDOW_SECONDS <= seconds <= MOST_WINDOW_SECONDS else None


def number_of(ident: str) -> int:
    """Read the number in the id of a batch; 0, which none has, for any other text."""
    digits = ident.removeprefix(BATCH)
    is_id = ident.startswith(BATCH) and not digits.startswith("0")
    return (plain_number(digits) or 0) if is_id else 0


def has_files(state: BatchState, failure_code: str | None) -> bool:
    """Say whether a run that ended so has output or error files."""
    return state in ENDS_OF_RUN and failure_code not in _STAGING_FAILURES


def status_of(
    state: BatchState, failure_code: str | None, is_settled: bool, open_tasks: int, cancel_is_wanted: bool
) -> Status:
    """Find the status of a batch. `is_settled` says whether the files of its run are made.

    A caller whose cancel was accepted sees CANCELLING, then CANCELLED, even if the run ends before it is decided.
    """
    if state in REPORTS_IN["ANALYZE"]:
        if cancel_is_wanted:
            return Status.CANCELLING
        return Status.IN_PROGRESS if open_tasks or state is BatchState.PAUSED else Status.FINALIZING
    if state not in ENDS_OF_RUN:
        return Status.CANCELLING if cancel_is_wanted else Status.VALIDATING
    if failure_code in _STAGING_FAILURES:
        return Status.FAILED
    settled, until_then = _ENDS.get(failure_code, (Status.FAILED, Status.FINALIZING))
    if cancel_is_wanted and settled is not Status.FAILED:
        settled, until_then = _ENDS[failures.CANCELLED]  # the run ended by itself before the cancel was decided
    return settled if is_settled else until_then
