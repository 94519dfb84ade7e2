"""The guards of the transition table: each returns its objection to a transition as a phrase, or None.

The docstring of a guard is its rule, as diagrams and docs print it.
"""

from collections.abc import Callable

from app.domain.facts import Facts
from app.domain.failures import run_failure, staging_failure

Guard = Callable[[Facts], str | None]


def always(_: Facts) -> str | None:
    return None


def has_work(facts: Facts) -> str | None:
    """the batch has documents, prompts and models, or ready-made tasks"""
    if facts.ready_tasks or facts.input_is_unread:
        return None
    counts = {"documents": facts.documents, "prompts": facts.prompts, "models": facts.models}
    missing = [noun for noun, count in counts.items() if not count]
    return f"the batch has no {' and no '.join(missing)}" if missing else None


def staging_is_done(facts: Facts) -> str | None:
    """every staging task is COMPLETED, and there is at least one analysis task"""
    if facts.input_is_unread:
        return "the input file is still being read"
    if not facts.all_tasks_written:
        return "the tasks are still being written"
    if not_done := facts.staging.total - facts.staging.completed:
        return f"staging tasks that are not completed: {not_done}"
    return None if facts.analysis.total else "staging made no analysis tasks"


def staging_is_broken(facts: Facts) -> str | None:
    """a staging task is FAILED, the input file is invalid, staging made no analysis tasks, or it took too long"""
    return None if staging_failure(facts) else "staging can still succeed"


def has_active_tasks(facts: Facts) -> str | None:
    """the batch has active tasks (queued or leased)"""
    return None if facts.analysis.open else "the batch has no active tasks (queued or leased)"


def run_is_done(facts: Facts) -> str | None:
    """no task of this run is open"""
    if failure := run_failure(facts):
        return failure.message
    return f"{facts.analysis.open} tasks are open" if facts.analysis.open else None


def run_is_broken(facts: Facts) -> str | None:
    """a worker reported a critical error, the failure limit is exceeded, every task failed, or the deadline passed"""
    return None if run_failure(facts) else "the run can still succeed"
