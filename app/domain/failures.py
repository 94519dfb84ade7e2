"""The failures of a run: their codes and messages, and the rule that finds the failure from the facts.

The order of the checks is the order of precedence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.facts import Facts


@dataclass(frozen=True)
class Failure:
    """Why a batch is FAILED: a stable code, a sentence, and the task that caused it, if one task did."""

    code: str
    message: str
    task_id: int | None = None


CANCELLED = "cancelled"
EXPIRED = "expired"
INVALID_INPUT = "invalid_input"
MESSAGES = {
    INVALID_INPUT: "The input file cannot be used; errors in it: {facts.bad_lines}.",
    "staging_failed": "A document could not be staged.",
    "nothing_to_analyse": "Staging made no analysis tasks: no document contained text to analyse.",
    "staging_timeout": "Staging made no progress for {facts.idle_seconds:.0f} s: no lease and no report.",
    "critical_error": "A worker reported a critical error.",
    "failure_limit": "{facts.analysis.failed} tasks failed; the limit is {facts.max_failed_tasks}.",
    "all_tasks_failed": "All {facts.analysis.failed} tasks of the run failed.",
    EXPIRED: "The run was not finished by its deadline.",
    CANCELLED: "Cancelled on request.",
}
CAUSED_BY_TASK = {"staging_failed": "STAGE", "critical_error": "ANALYZE"}  # code -> kind of the task that caused it


def with_words(message: str, error: Mapping[str, Any] | None) -> str:
    """Add to the message of a failure what the worker reported of the task that caused it."""
    # A worker's message may contain U+0000, which PostgreSQL's text cannot hold: the batch has to fail anyway.
    words = str((error or {}).get("message") or "").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"{message} {words}" if words else message


def _failure(code: str, facts: Facts) -> Failure:
    return Failure(code, MESSAGES[code].format(facts=facts))


def cancelled(facts: Facts) -> Failure:
    """Make the failure of a batch that a caller cancelled."""
    return _failure(CANCELLED, facts)


def staging_failure(facts: Facts) -> Failure | None:
    """Find the reason why staging cannot succeed, or None while it can."""
    if facts.bad_lines:
        return _failure(INVALID_INPUT, facts)
    if facts.staging.failed:
        return _failure("staging_failed", facts)
    if facts.is_overdue and facts.staging.open:  # with ready-made tasks, the run itself expires: each line has its end
        return _failure(EXPIRED, facts)
    if facts.all_tasks_written and not facts.staging.open and not facts.analysis.total:
        return _failure("nothing_to_analyse", facts)
    goes_on = facts.staging.open or not facts.all_tasks_written
    if goes_on and facts.idle_seconds > facts.staging_timeout_seconds:
        return _failure("staging_timeout", facts)
    return None


def run_failure(facts: Facts) -> Failure | None:
    """Find the reason why the run cannot succeed, or None while it can."""
    tasks = facts.analysis
    if tasks.critical:
        return _failure("critical_error", facts)
    if facts.max_failed_tasks is not None and tasks.failed > facts.max_failed_tasks:
        return _failure("failure_limit", facts)
    if tasks.failed and tasks.failed == tasks.total:
        return _failure("all_tasks_failed", facts)
    if facts.is_overdue and tasks.open:
        return _failure(EXPIRED, facts)
    return None
