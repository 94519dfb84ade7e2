"""How a batch and its audit rows look to a caller: the JSON of contract 5, made of records."""

from typing import Any

from app.domain import transitions
from app.domain.facts import Counts, Facts
from app.domain.money import cost
from app.domain.times import rfc3339
from app.domain.transitions import BatchState
from app.services.batch.batch_rows import BatchRecord


def batch_view(batch: BatchRecord, facts: Facts) -> dict[str, Any]:
    """Show a batch, its present run's progress, and what may be asked of it now."""
    return {
        "id": batch.id,
        "name": batch.name,
        "description": batch.description,
        "state": batch.state,
        "version": batch.version,
        "run": batch.run,
        "failure": failure_view(batch),
        "progress": {"staging": _staging(facts.staging), "analysis": _analysis(facts.analysis)},
        "usage": usage_view(facts.usage),
        "input": {
            "documents": batch.document_count,
            "prompts": batch.prompt_count,
            "models": batch.model_count,
            "ready_tasks": batch.ready_task_count,
        },
        "options": {
            "max_attempts": batch.max_attempts,
            "lease_seconds": batch.lease_seconds,
            "max_failed_tasks": batch.max_failed_tasks,
            "priority": batch.priority,
            "staging_timeout_seconds": batch.staging_timeout_seconds,
            "max_cost": cost(batch.max_cost_nanos),
            "max_tokens": batch.max_tokens,
            "max_failure_rate": batch.max_failure_rate,
            "on_unreadable": batch.on_unreadable,
        },
        "allowed_actions": transitions.allowed(batch.state, facts),
        "created_at": rfc3339(batch.created_at),
        "updated_at": rfc3339(batch.updated_at),
        "staged_at": rfc3339(batch.staged_at),
        "started_at": rfc3339(batch.started_at),
        "finished_at": rfc3339(batch.finished_at),
    }


def failure_view(batch: BatchRecord) -> dict[str, Any] | None:
    if batch.failure_code is None:
        return None
    task_id = None if batch.failure_task_id is None else str(batch.failure_task_id)
    return {"code": batch.failure_code, "message": batch.failure_message, "task_id": task_id}


def _staging(counts: Counts) -> dict[str, int]:
    return {"total": counts.total, "completed": counts.completed, "failed": counts.failed, "skipped": counts.skipped}


def _analysis(counts: Counts) -> dict[str, int]:
    return {
        "total": counts.total,
        "queued": counts.queued,
        "leased": counts.leased,
        "completed": counts.completed,
        "failed": counts.failed,
    }


def usage_view(usage: Any) -> dict[str, Any]:
    """Show what was used: a Usage, or a row that has its columns."""
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost": cost(usage.cost_nanos)}


def effect_of(state: BatchState, target: BatchState, facts: Facts) -> dict[str, int | float | None]:
    """Tell what going from `state` to `target` does to tasks: the answer of a dry run."""
    stopped = in_flight = 0
    for kind, counts in (("STAGE", facts.staging), ("ANALYZE", facts.analysis)):
        if state in transitions.REPORTS_IN[kind]:
            in_flight += counts.leased
            stopped += 0 if target in transitions.LEASES_IN[kind] else counts.queued
    return {
        "tasks_stopped": stopped,
        "leases_in_flight": in_flight,
        "results_kept": facts.analysis.completed,
    }
