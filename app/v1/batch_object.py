"""A batch as OpenAI's object, with what Interlock adds under `interlock`."""

from datetime import datetime
from typing import Any

from app.domain import failures, transitions
from app.domain.file.batches import BATCH, Status
from app.domain.file.files import FILE, RESULTS
from app.domain.money import cost
from app.services.file_batch.file_batches import ShownFileBatch
from app.v1.objects import seconds


def batch_object(shown: ShownFileBatch) -> dict[str, Any]:
    """Make a Batch."""
    batch, row, errors = shown.batch, shown.row, shown.errors
    return {
        "id": f"{BATCH}{batch.id}",
        "object": "batch",
        "endpoint": row.endpoint,
        "model": row.model,
        "errors": None if errors is None else {"object": "list", "data": errors},
        "input_file_id": batch.input_file_id,
        "completion_window": row.completion_window,
        "status": shown.status,
        "output_file_id": _file_id(shown, row.output_file_id),
        "error_file_id": _file_id(shown, row.error_file_id),
        "created_at": seconds(row.created_at),  # the moment that its window is counted from
        **_times(shown),
        "request_counts": _counts(shown),
        "metadata": row.metadata,
        "usage": shown.usage,
        "interlock": {
            "batch_id": batch.id,
            "state": batch.state,
            "version": batch.version,
            "run": batch.run,
            "allowed_actions": transitions.allowed(batch.state, shown.facts),
            "reason": row.reason,
            "cost": cost(shown.facts.usage.cost_nanos),
            "results_file_id": f"{RESULTS}{batch.id}" if shown.has_run else None,
        },
    }


def _file_id(shown: ShownFileBatch, number: int | None) -> str | None:
    return None if number is None or not shown.is_settled else f"{FILE}{number}"


def _times(shown: ShownFileBatch) -> dict[str, int | None]:
    batch, row, status = shown.batch, shown.row, shown.status
    settled_at: datetime | None = row.settled_at if shown.is_settled else None
    was_cancelled = batch.failure_code == failures.CANCELLED
    is_finalized = status in (Status.COMPLETED, Status.FINALIZING)
    return {
        "in_progress_at": seconds(batch.started_at),
        "expires_at": seconds(shown.facts.deadline_at),
        "finalizing_at": seconds(batch.finished_at) if is_finalized else None,
        "completed_at": seconds(settled_at) if status is Status.COMPLETED else None,
        "failed_at": seconds(batch.finished_at) if status is Status.FAILED else None,
        "expired_at": seconds(batch.finished_at) if status is Status.EXPIRED else None,
        "cancelling_at": seconds(row.cancelled_at or (batch.finished_at if was_cancelled else None)),
        "cancelled_at": seconds(settled_at) if status is Status.CANCELLED else None,
    }


def _counts(shown: ShownFileBatch) -> dict[str, int]:
    """Count the lines, once they are given to workers."""
    if not shown.has_run:
        return {"total": 0, "completed": 0, "failed": 0}
    tasks = shown.facts.analysis
    return {"total": shown.batch.ready_task_count, "completed": tasks.completed, "failed": tasks.failed}
