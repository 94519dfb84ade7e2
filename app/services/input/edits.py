"""Edits of a batch's input: create, add documents, replace a document, rename, archive."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, update

from app import db
from app.domain.money import nanos
from app.domain.transitions import ADD_DOCUMENTS, ARCHIVE, RENAME, REPLACE_DOCUMENT
from app.errors import NotFound, Refusal
from app.models import Document, Model, Prompt
from app.services.batch.batch_service import BatchService
from app.services.batch.locked_batch import LockedBatch
from app.services.batch.orders import Answer, Order
from app.services.input.new_documents import NewDocuments, row_of
from app.services.input.ready_tasks import ReadyTasks

_NO_SOURCE = dict.fromkeys(("text", "content", "path", "folder", "parent_id"))


class MadeOfReadyTasks(Refusal):
    code, title = "made_of_ready_tasks", "This batch cannot take documents"


def create_batch(batches: BatchService, body: Mapping[str, Any], order: Order) -> Answer:
    """Create a batch with documents, prompts and models, from the create body of contract 5; return its view."""
    prompts, models = body["prompts"], body["models"]
    new = NewDocuments(body["documents"])
    values = {
        "name": body["name"],
        "description": body.get("description"),
        "document_count": len(new.rows),
        "prompt_count": len(prompts),
        "model_count": len(models),
        "ready_task_count": 0,
        **_columns(body["options"]),
    }

    def store(connection: Connection, locked: LockedBatch) -> Mapping[str, Any]:
        batch_id = locked.batch.id
        duplicates = new.store(connection, locked)
        for model, rows in ((Prompt, prompts), (Model, models)):
            numbered = [{"batch_id": batch_id, "number": number, **row} for number, row in enumerate(rows, 1)]
            if numbered:
                connection.execute(insert(db.table_of(model)), numbered)
        return duplicates

    return batches.create(values, order, store)


def _columns(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: value for name, value in options.items() if name != "max_cost"},
        "max_cost_nanos": nanos(options.get("max_cost")),
    }


def create_batch_of_ready_tasks(batches: BatchService, name: str, tasks: ReadyTasks, order: Order) -> Answer:
    """Create a batch of ready-made tasks; if one cannot be stored, nothing is."""
    values = {
        "name": name,
        "document_count": 0,
        "prompt_count": 0,
        "model_count": 0,
        "ready_task_count": tasks.count,
    }

    def store(connection: Connection, locked: LockedBatch) -> None:
        tasks.write(connection, locked.batch.id)

    return batches.create(values, order, store)


def add_documents(batches: BatchService, batch_id: int, documents: Sequence[Mapping[str, Any]], order: Order) -> Answer:
    """Add documents (`name`, `media_type`, and `text` or `content`; or `folder`) to a batch in state SAVED.

    A document whose content the batch has already is left out, and named in the answer's `duplicates`.
    Raises NotFound, StateRefused, MadeOfReadyTasks, VersionMismatch, Locked.
    """
    new = NewDocuments(documents)

    def change(locked: LockedBatch) -> Mapping[str, Any]:
        if locked.batch.ready_task_count:
            raise MadeOfReadyTasks("This batch was created from ready-made tasks. It cannot take documents.")
        new.leave_out_known(locked)
        return {"document_count": locked.batch.document_count + len(new.rows)}

    return batches.edit(batch_id, ADD_DOCUMENTS, order, change, new.store)


def replace_document(
    batches: BatchService, batch_id: int, document_id: int, document: Mapping[str, Any], order: Order
) -> Answer:
    """Replace a document of a batch in state SAVED by `text` or `content`; without a `name` it keeps its name.

    The tasks of earlier runs keep the document that they read. Raises NotFound, StateRefused, VersionMismatch, Locked.
    """
    documents = db.table_of(Document)

    def store(connection: Connection, locked: LockedBatch) -> None:
        row = row_of({"name": None, **document})
        values = {**_NO_SOURCE, **row, "created_at": locked.now}
        if not document.get("name"):
            del values["name"]
        changed = update(documents).where(documents.c.id == document_id, documents.c.batch_id == batch_id)
        if connection.execute(changed.values(values)).rowcount != 1:
            raise NotFound("document", document_id)

    named = replace(order, context={**order.context, "document_id": document_id})
    return batches.edit(batch_id, REPLACE_DOCUMENT, named, lambda _: {}, store)


def rename(batches: BatchService, batch_id: int, names: Mapping[str, Any], order: Order) -> Answer:
    """Change a batch's name, its description, or both."""
    return batches.edit(batch_id, RENAME, order, lambda _: names)


def archive(batches: BatchService, batch_id: int, order: Order) -> None:
    """Archive a batch: no caller finds it any more, but its audit trail stays readable."""
    batches.edit(batch_id, ARCHIVE, order, lambda locked: {"archived_at": locked.now})
