"""A batch of the service and a batch of the model in one form, to be compared; and batches put away by hand."""

from typing import Any

from sqlalchemy import text

from app.services import Services
from tests.services import model

_AWAY = [
    "DELETE FROM late_results WHERE task_id IN (SELECT id FROM tasks WHERE batch_id = :id)",
    "DELETE FROM tasks WHERE batch_id = :id",
    "DELETE FROM task_counts WHERE batch_id = :id",
    "DELETE FROM usage_counts WHERE batch_id = :id",
    """INSERT INTO audit_log (batch_id, version, trigger, kind, from_state, to_state, actor, role, context, at)
       SELECT id, version + 1, 'archive', 'edit', state, state, 'system', 'system', '{}', updated_at
       FROM batches WHERE id = :id AND archived_at IS NULL""",
    "UPDATE batches SET version = version + 1, archived_at = updated_at WHERE id = :id AND archived_at IS NULL",
]


def put_away(services: Services, batch_ids: list[int]) -> None:
    """Archive batches by hand, in whatever state they are."""
    with services.engine.begin() as connection:
        for batch_id in batch_ids:
            for statement in _AWAY:
                connection.execute(text(statement), {"id": batch_id})


def shown_of(shown: dict[str, Any]) -> tuple[Any, ...]:
    failure = shown["failure"] and shown["failure"]["code"]
    counts = {kind: {k: n for k, n in counts.items() if n} for kind, counts in shown["progress"].items()}
    return (*(shown[name] for name in ("state", "version", "run")), failure, shown["allowed_actions"], counts)


def told_of(batch: model.Batch) -> tuple[Any, ...]:
    counts = {}
    for name, kind in (("staging", "STAGE"), ("analysis", "ANALYZE")):
        by_status = {status.lower(): amount for status, amount in batch.count(kind).items()}
        shown = ("completed", "failed") if kind == "STAGE" else tuple(by_status)
        total = sum(by_status.values())
        counts[name] = {k: n for k, n in by_status.items() if k in shown} | ({"total": total} if total else {})
    allowed = [action for action in model.ACTIONS if batch.can(action)]
    return batch.state, len(batch.trail), batch.run, batch.failure, allowed, counts
