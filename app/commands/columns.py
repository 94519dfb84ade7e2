"""The columns of the tables, by noun. The first one names the row: `-o name` prints it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column: its title, and where a row has its value, as `progress.analysis.total`."""

    title: str
    field: str

    def value(self, row: Mapping[str, Any]) -> Any:
        """Find the value in a row; None where it has none."""
        value: Any = row
        for name in self.field.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


def _columns(*fields: str) -> tuple[Column, ...]:
    return tuple(
        Column(title or field.rpartition(".")[2], field) for field, _, title in (f.partition("=") for f in fields)
    )


_COLUMNS = {
    "batch": _columns(
        "id", "name", "state", "run", "progress.analysis.completed=done", "progress.analysis.failed=failed",
        "progress.analysis.total=tasks", "usage.cost=cost", "updated_at=changed",
    ),
    "answer": _columns("batch_id=batch", "name", "action", "outcome", "state", "version", "reason"),
    "result": _columns(
        "task_id=task", "document.name=document", "custom_id", "prompt", "connection", "model", "status",
        "result.text=answer", "error.message=error",
    ),
    "audit row": _columns("version", "at", "trigger", "from_state=from", "to_state=to", "actor", "reason"),
    "task": _columns(
        "id", "kind", "document.name=document", "custom_id", "prompt", "model", "status", "attempt", "worker",
        "error.message=error",
    ),
    "worker": _columns("worker", "last_seen_at=last seen", "completed", "failed", "reports_a_minute=a minute", "can"),
    "connection": _columns("connection", "model", "state", "class", "since", "next_try_at=next try", "reason"),
    "request": _columns("id", "action", "status", "actor", "created_at=came", "finished_at=decided", "reason"),
    "token": _columns("id", "name", "role", "created_at=created", "expires_at=expires", "token"),
    "webhook": _columns("id", "url", "types", "enabled", "waiting", "failure", "delivered_at=delivered", "secret"),
    "delivery": _columns(
        "message_id=message", "type", "batch_id=batch", "status", "tries", "http_status=http", "error",
        "created_at=created", "next_try_at=next try",
    ),
    "test of a webhook": _columns("message_id"),
    "replay": _columns("replayed"),
    "action": _columns("action", "allowed", "reason"),
    "file": _columns("file", "rows"),
    "report": _columns("batch_id", "run"),
    "sum": _columns(
        "connection", "model", "prompt", "tasks", "completed", "failed", "cost", "mean_score=mean score",
        "latency_ms.p50=median ms",
    ),
    "answer of a report": _columns("document", "prompt", "model", "status", "score", "answer"),
}  # fmt: skip


def columns_of(noun: str) -> tuple[Column, ...]:
    """Return the columns of a noun."""
    return _COLUMNS[noun]
