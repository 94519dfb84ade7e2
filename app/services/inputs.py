"""What a batch is made of: documents, prompts and models, or ready-made tasks; stored with the edit that adds it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, update

from app import db
from app.domain.inputs import nanos
from app.domain.transitions import ADD_DOCUMENTS, ARCHIVE, RENAME, REPLACE_DOCUMENT
from app.errors import NotFound, Refusal
from app.models import Document, Model, Prompt
from app.services.batch_service import BatchService
from app.services.locked_batch import LockedBatch
from app.services.orders import Answer, Order
from app.services.ready_tasks import ReadyTasks

_NO_SOURCE = dict.fromkeys(("text", "content", "path", "folder", "parent_id"))


class MadeOfReadyTasks(Refusal):
    code, title = "made_of_ready_tasks", "This batch takes no documents"


def create_batch(batches: BatchService, body: Mapping[str, Any], order: Order) -> Answer:
    """Create a batch of the create body of contract 5; return its view."""
    documents, prompts, models = body["documents"], body["prompts"], body["models"]
    values = {
        "name": body["name"],
        "description": body.get("description"),
        "document_count": len(documents),
        "prompt_count": len(prompts),
        "model_count": len(models),
        "ready_task_count": 0,
        **_columns(body["options"]),
    }

    def store(connection: Connection, locked: LockedBatch) -> None:
        batch_id = locked.batch.id
        _store_documents(connection, locked, documents)
        for model, rows in ((Prompt, prompts), (Model, models)):
            numbered = [{"batch_id": batch_id, "number": number, **row} for number, row in enumerate(rows, 1)]
            if numbered:
                connection.execute(insert(db.table_of(model)), numbered)

    return batches.create(values, order, store)


def _columns(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: value for name, value in options.items() if name != "max_cost"},
        "max_cost_nanos": nanos(options.get("max_cost")),
    }


def create_batch_of_ready_tasks(batches: BatchService, name: str, tasks: ReadyTasks, order: Order) -> Answer:
    """Create a batch of ready-made tasks; all of them or none."""
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
    """Add documents (`name`, `media_type`, and `text` or `content`) to a batch that is SAVED.

    Raises NotFound, StateRefused, MadeOfReadyTasks, VersionMismatch, Locked.
    """

    def change(locked: LockedBatch) -> Mapping[str, Any]:
        if locked.batch.ready_task_count:
            raise MadeOfReadyTasks("The batch is made of ready-made tasks; documents would never be read.")
        return {"document_count": locked.batch.document_count + len(documents)}

    def store(connection: Connection, locked: LockedBatch) -> None:
        _store_documents(connection, locked, documents)

    return batches.edit(batch_id, ADD_DOCUMENTS, order, change, store)


def replace_document(
    batches: BatchService, batch_id: int, document_id: int, document: Mapping[str, Any], order: Order
) -> Answer:
    """Replace a document of a batch that is SAVED, by `text` or `content`; without a `name` it keeps its own.

    What earlier runs read and answered stays as it is. Raises NotFound, StateRefused, VersionMismatch, Locked.
    """
    documents = db.table_of(Document)

    def store(connection: Connection, locked: LockedBatch) -> None:
        values = {**_NO_SOURCE, **_content(document, locked.now)}
        if document.get("name"):
            values["name"] = document["name"]
        changed = update(documents).where(documents.c.id == document_id, documents.c.batch_id == batch_id)
        if connection.execute(changed.values(values)).rowcount != 1:
            raise NotFound("document", document_id)

    told = replace(order, context={**order.context, "document_id": document_id})
    return batches.edit(batch_id, REPLACE_DOCUMENT, told, lambda _: {}, store)


def rename(batches: BatchService, batch_id: int, names: Mapping[str, Any], order: Order) -> Answer:
    """Change a batch's name or description."""
    return batches.edit(batch_id, RENAME, order, lambda _: names)


def archive(batches: BatchService, batch_id: int, order: Order) -> None:
    """Put a batch away: it is gone for every caller, but its audit trail stays."""
    batches.edit(batch_id, ARCHIVE, order, lambda locked: {"archived_at": locked.now})


def _store_documents(connection: Connection, locked: LockedBatch, documents: Iterable[Mapping[str, Any]]) -> None:
    batch = locked.batch
    rows = [
        {
            "batch_id": batch.id,
            "name": document["name"],
            **_content(document, locked.now),
        }
        for document in documents
    ]
    first = batch.document_count - len(rows) + 1  # the row counts them already
    for number, row in enumerate(rows, first):
        row["number"] = number
    if rows:
        connection.execute(insert(db.table_of(Document)), rows)


def _content(document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    data = _bytes_of(document)
    return {
        "media_type": document["media_type"],
        "text": document.get("text"),
        "content": document.get("content"),
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created_at": now,
    }


def _bytes_of(document: Mapping[str, Any]) -> bytes:
    content: bytes | None = document.get("content")
    return content if content is not None else str(document["text"]).encode()
