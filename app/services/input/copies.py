"""A new batch from another one: what the body does not name is taken from there."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, insert, literal, select

from app import db
from app.errors import Busy, Invalid, NotFound
from app.models import Document
from app.services.batch.batch_rows import BatchRecord, look
from app.services.batch.batch_service import BatchService
from app.services.batch.locked_batch import LockedBatch
from app.services.batch.orders import Answer, Order
from app.services.input.edits import PARTS, MadeOfReadyTasks, check_deadline, option_columns, write_part
from app.services.input.new_documents import NewDocuments

_documents = db.table_of(Document)
_COPIED = ("name", "media_type", "text", "content", "folder", "size_bytes", "sha256")
_OPTIONS = (
    "max_attempts", "lease_seconds", "max_failed_tasks", "priority", "staging_timeout_seconds", "max_cost_nanos",
    "max_tokens", "max_failure_rate", "keep_runs", "on_unreadable", "on_truncated", "on_too_long",
    "part_characters", "overlap_characters",
    "pause_after_outage_seconds", "auto_resume",
)  # fmt: skip


def create_copy(batches: BatchService, source_id: int, body: Mapping[str, Any], order: Order) -> Answer:
    """Create a batch with the documents, prompts, models and options of another one, except for those in the body.

    Results are not copied. Raises Invalid if there is no such batch, and MadeOfReadyTasks.
    """
    audited = replace(order, context={**order.context, "from": source_id})
    with batches.deciding(audited) as decision:
        connection = decision.connection
        source = _source(connection, source_id)
        parts = {part: body[part] if part in body else _part_of(connection, source_id, part) for part in PARTS}
        new = NewDocuments(body["documents"]) if "documents" in body else None
        copied = 0 if new else connection.execute(_of(source_id, func.count())).scalar_one()
        values = {
            "name": body["name"],
            "description": body.get("description", source.description),
            "document_count": len(new.rows) if new else copied,
            **{f"{part.removesuffix('s')}_count": len(rows) for part, rows in parts.items()},
            "ready_task_count": 0,
            **{name: getattr(source, name) for name in _OPTIONS},
            **option_columns(body.get("options") or {}),
        }
        locked = decision.create(values)
        check_deadline(locked)
        duplicates = new.store(connection, locked) if new else {}
        if copied:
            _copy_documents(connection, source_id, locked, copied)
        for part, rows in parts.items():
            write_part(connection, locked.batch.id, part, rows)
        return decision.record({**locked.view, **duplicates})


def _source(connection: Connection, source_id: int) -> BatchRecord:
    try:
        source, _ = look(connection, source_id)
    except NotFound as missing:
        raise Invalid(missing.detail, errors={"from": [missing.detail]}) from missing
    if source.ready_task_count or source.input_file_id:
        raise MadeOfReadyTasks("That batch was created from ready-made tasks. Send its JSON lines again.")
    return source


def _part_of(connection: Connection, batch_id: int, part: str) -> list[dict[str, Any]]:
    table = db.table_of(PARTS[part])
    columns = [each for each in table.c if each.name not in ("batch_id", "number")]
    rows = connection.execute(select(*columns).where(table.c.batch_id == batch_id).order_by(table.c.number))
    return [dict(row) for row in rows.mappings()]


def _of(batch_id: int, *columns: Any) -> Any:
    """Select from the documents that a batch was given; an erased one has no text to copy."""
    own = (_documents.c.batch_id == batch_id, _documents.c.run.is_(None), _documents.c.erased_at.is_(None))
    return select(*columns).where(*own)


def _copy_documents(connection: Connection, source_id: int, locked: LockedBatch, amount: int) -> None:
    """Copy within the database: texts may be large. Raises Busy if the other batch lost one of them meanwhile."""
    number = func.row_number().over(order_by=_documents.c.number)
    new = (literal(locked.batch.id), number, literal(locked.now, _documents.c.created_at.type))
    rows = _of(source_id, *new, *(_documents.c[name] for name in _COPIED)).order_by(_documents.c.number).limit(amount)
    made = connection.execute(
        insert(_documents).from_select(["batch_id", "number", "created_at", *_COPIED], rows, include_defaults=False)
    )
    if made.rowcount != amount:
        raise Busy("The other batch has changed while it was copied.")
