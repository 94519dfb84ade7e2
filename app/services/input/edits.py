"""Edits of a batch's input: create, add documents, replace a document, replace the input, rename, archive."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from app import db
from app.domain.money import nanos
from app.domain.transitions import ADD_DOCUMENTS, ARCHIVE, RENAME, REPLACE_DOCUMENT, REPLACE_INPUT
from app.errors import Invalid, NotFound, Refusal
from app.models import Document, Model, Prompt
from app.services.batch.batch_service import BatchService
from app.services.batch.locked_batch import LockedBatch
from app.services.batch.orders import Answer, Order
from app.services.input.new_documents import NewDocuments, row_of
from app.services.input.ready_tasks import ReadyTasks

_NO_SOURCE = dict.fromkeys(("text", "content", "path", "folder", "parent_id"))


PARTS: dict[str, type[Prompt | Model]] = {"prompts": Prompt, "models": Model}


class MadeOfReadyTasks(Refusal):
    code, title = "made_of_ready_tasks", "This batch was made of ready-made tasks"


class InputInUse(Refusal):
    code, title = "input_in_use", "Earlier runs used these prompts and models"


def create_batch(batches: BatchService, body: Mapping[str, Any], order: Order) -> Answer:
    """Create a batch with documents, prompts and models, from the create body of contract 5; return its view."""
    new = NewDocuments(body["documents"])
    values = {
        "name": body["name"],
        "description": body.get("description"),
        "document_count": len(new.rows),
        "prompt_count": len(body["prompts"]),
        "model_count": len(body["models"]),
        "ready_task_count": 0,
        **option_columns(body["options"]),
    }

    with batches.deciding(order) as decision:
        locked = decision.create(values)
        check_deadline(locked)
        duplicates = new.store(decision.connection, locked)
        for part in PARTS:
            write_part(decision.connection, locked.batch.id, part, body[part])
        return decision.record({**locked.view, **duplicates})


def check_deadline(locked: LockedBatch) -> None:
    """Refuse a deadline that is over. Raises Invalid."""
    if locked.facts.is_overdue:
        message = "is in the past"
        raise Invalid(f"deadline_at {message}.", errors={"options": {"deadline_at": [message]}})


def write_part(connection: Connection, batch_id: int, part: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the `prompts` or the `models` of a batch, numbered in their order."""
    numbered = [{"batch_id": batch_id, "number": number, **row} for number, row in enumerate(rows, 1)]
    if numbered:
        connection.execute(insert(db.table_of(PARTS[part])), numbered)


def option_columns(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the columns of a batch for options of contract 5."""
    columns = dict(options)
    if "max_cost" in columns:
        columns["max_cost_nanos"] = nanos(columns.pop("max_cost"))
    return columns


def create_batch_of_ready_tasks(
    batches: BatchService, name: str, tasks: ReadyTasks, order: Order, options: Mapping[str, Any] | None = None
) -> Answer:
    """Create a batch of ready-made tasks; if one cannot be stored, nothing is. Other options have their defaults."""
    values = {
        "name": name,
        "document_count": 0,
        "prompt_count": 0,
        "model_count": 0,
        "ready_task_count": tasks.count,
        **(options or {}),
    }

    with batches.deciding(order) as decision:
        locked = decision.create(values)
        tasks.write(decision.connection, locked.batch.id)
        return decision.record({**locked.view})


def add_documents(batches: BatchService, batch_id: int, documents: Sequence[Mapping[str, Any]], order: Order) -> Answer:
    """Add documents (`name`, `media_type`, and `text` or `content`; or `folder`) to a batch in state SAVED.

    A document whose content the batch has already is left out, and named in the answer's `duplicates`.
    Raises NotFound, StateRefused, MadeOfReadyTasks, VersionMismatch, Locked.
    """
    new = NewDocuments(documents)

    with batches.deciding(order) as decision:
        locked = decision.lock(batch_id)
        if locked.batch.ready_task_count:
            raise MadeOfReadyTasks("This batch was created from ready-made tasks. It cannot take documents.")
        new.leave_out_known(decision.connection, batch_id)
        locked.edit(ADD_DOCUMENTS, order, {"document_count": locked.batch.document_count + len(new.rows)})
        duplicates = new.store(decision.connection, locked)
        return decision.record({**locked.view, **duplicates})


def replace_document(
    batches: BatchService, batch_id: int, document_id: int, document: Mapping[str, Any], order: Order
) -> Answer:
    """Replace a document of a batch in state SAVED by `text` or `content`; without a `name` it keeps its name.

    The tasks of earlier runs keep the document that they read. Raises NotFound, StateRefused, VersionMismatch, Locked.
    """
    documents = db.table_of(Document)
    row = row_of({"name": None, **document})
    if not document.get("name"):
        del row["name"]
    audited = replace(order, context={**order.context, "document_id": document_id, "sha256": row["sha256"]})
    with batches.deciding(audited) as decision:
        locked = decision.lock(batch_id)
        locked.edit(REPLACE_DOCUMENT, audited, {})
        changed = update(documents).where(documents.c.id == document_id, documents.c.batch_id == batch_id)
        values = {**_NO_SOURCE, **row, "created_at": locked.now, "erased_at": None}
        if decision.connection.execute(changed.values(values)).rowcount != 1:
            raise NotFound("document", document_id)
        return decision.record({**locked.view})


def replace_input(batches: BatchService, batch_id: int, body: Mapping[str, Any], order: Order) -> Answer:
    """Replace the `prompts` or the `models` of a batch in state SAVED, or set some of its `options`, as one change.

    What is not named stays as it is. Prompts and models that a run has used stay, so that its results can be read.
    Raises NotFound, StateRefused, MadeOfReadyTasks, InputInUse, VersionMismatch, Locked.
    """
    parts = [part for part in PARTS if part in body]
    counts = {f"{part.removesuffix('s')}_count": len(body[part]) for part in parts}
    audited = replace(order, context={**order.context, "replaced": sorted(body)})
    with batches.deciding(audited) as decision:
        locked = decision.lock(batch_id)
        locked.edit(REPLACE_INPUT, audited, {**counts, **option_columns(body.get("options") or {})})
        check_deadline(locked)
        if parts and (locked.batch.ready_task_count or locked.batch.input_file_id):
            raise MadeOfReadyTasks("This batch was created from ready-made tasks. It has no prompts and models.")
        if parts and locked.batch.run:
            detail = f"Earlier runs used the {' and '.join(parts)} of this batch. Make a new batch with other ones."
            raise InputInUse(detail)
        for part in parts:
            table = db.table_of(PARTS[part])
            decision.connection.execute(delete(table).where(table.c.batch_id == batch_id))
            write_part(decision.connection, batch_id, part, body[part])
        return decision.record({**locked.view})


def rename(batches: BatchService, batch_id: int, names: Mapping[str, Any], order: Order) -> Answer:
    """Change a batch's name, its description, or both."""
    with batches.deciding(order) as decision:
        locked = decision.lock(batch_id)
        locked.edit(RENAME, order, names)
        return decision.record({**locked.view})


def archive(batches: BatchService, batch_id: int, order: Order) -> None:
    """Archive a batch: no caller finds it any more, but its audit trail stays readable."""
    with batches.deciding(order) as decision:
        locked = decision.lock(batch_id)
        locked.edit(ARCHIVE, order, {"archived_at": locked.now})
        decision.record({**locked.view})
