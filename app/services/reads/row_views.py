"""How rows look to a caller, those of batches aside: audit rows, requests, tasks, lines of results."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row

from app.domain.lease_tokens import Tokens
from app.domain.leases import FINISHED, TaskKind, TaskStatus
from app.domain.times import rfc3339
from app.models import ReadyTask
from app.services.batch.batch_view import usage_view
from app.services.reads.openai_lines import error_line, output_line


def audit_view(row: Row[Any]) -> dict[str, Any]:
    names = (
        "version", "trigger", "kind", "from_state", "to_state", "actor", "role", "reason", "context", "request_id",
    )  # fmt: skip
    return {**{name: getattr(row, name) for name in names}, "at": rfc3339(row.at)}


def request_view(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "batch_id": row.batch_id,
        "action": row.action,
        "status": row.status,
        "reason": row.reason,
        "version": row.version,
        "actor": row.actor,
        "created_at": rfc3339(row.created_at),
        "expires_at": rfc3339(row.expires_at),
        "finished_at": rfc3339(row.finished_at),
    }


def _named(row: Any) -> dict[str, Any]:
    document = None if row.document_id is None else {"id": row.document_id, "name": row.document_name}
    return {
        "custom_id": row.custom_id,
        "document": document,
        "prompt": row.prompt_name,
        "connection": row.connection,
        "model": row.model,
        "run": row.run,
        "status": row.status,
        "attempt": row.attempt,
        "reused_from": None if row.reused_from is None else str(row.reused_from),
    }


def result_view(row: Any) -> dict[str, Any]:
    """A line of `/results`."""
    return {
        "task_id": str(row.id),
        **_named(row),
        "usage": {**usage_view(row), "latency_ms": row.latency_ms},
        "result": row.result,
        "error": row.error,
        "finished_at": rfc3339(row.finished_at),
    }


class ResultForm(NamedTuple):
    statuses: Sequence[TaskStatus]
    view: Callable[[Any], dict[str, Any]]
    columns: Sequence[Any] = ()


# How results may be had: of which tasks, and what a line looks like.
RESULT_FORMS = {
    "ndjson": ResultForm(FINISHED, result_view),
    "openai": ResultForm((TaskStatus.COMPLETED,), output_line, (ReadyTask.body,)),
    "openai-errors": ResultForm((TaskStatus.FAILED,), error_line),
}


def task_view(row: Any) -> dict[str, Any]:
    """A task in a list; its result is shown with the task itself."""
    tokens = Tokens(row.status, row.lease_token, row.lease_outcome, row.lease_answer, row.past_leases)
    held = row.lease_token is not None and tokens.is_current(row.lease_token)
    return {
        "id": str(row.id),
        "batch_id": row.batch_id,
        "kind": row.kind,
        **_named(row),
        "worker": row.leased_by if held else None,
        "lease_expires_at": rfc3339(row.lease_expires_at) if held else None,
        "available_at": rfc3339(row.available_at),
        "error": row.error,
        "skipped": _skipped(row),
        "finished_at": rfc3339(row.finished_at),
    }


def _skipped(row: Any) -> str | None:
    """Why a document was left out, or None."""
    left_out = row.kind == TaskKind.STAGE and (row.result or {}).get("skipped") is True
    return str(row.result.get("reason")) if left_out else None
