"""What a batch is made of: documents, prompts and models, or ready-made tasks; stored with the edit that adds it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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
from app.services.input.ready_tasks import ReadyTasks
from app.services.task import found_files

_NO_SOURCE = dict.fromkeys(("text", "content", "path", "folder", "parent_id"))
FOLDER_TYPE = "inode/directory"


class MadeOfReadyTasks(Refusal):
    code, title = "made_of_ready_tasks", "This batch takes no documents"


def create_batch(batches: BatchService, body: Mapping[str, Any], order: Order) -> Answer:
    """Create a batch of the create body of contract 5; return its view."""
    prompts, models = body["prompts"], body["models"]
    new = _NewDocuments(body["documents"])
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
        told = new.store(connection, locked)
        for model, rows in ((Prompt, prompts), (Model, models)):
            numbered = [{"batch_id": batch_id, "number": number, **row} for number, row in enumerate(rows, 1)]
            if numbered:
                connection.execute(insert(db.table_of(model)), numbered)
        return told

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
    """Add documents (`name`, `media_type`, and `text` or `content`; or `folder`) to a batch that is SAVED.

    Those whose content the batch has already are left out, and named in the answer's `duplicates`.
    Raises NotFound, StateRefused, MadeOfReadyTasks, VersionMismatch, Locked.
    """
    new = _NewDocuments(documents)

    def change(locked: LockedBatch) -> Mapping[str, Any]:
        if locked.batch.ready_task_count:
            raise MadeOfReadyTasks("The batch is made of ready-made tasks; documents would never be read.")
        new.leave_out_known(locked)
        return {"document_count": locked.batch.document_count + len(new.rows)}

    return batches.edit(batch_id, ADD_DOCUMENTS, order, change, new.store)


def replace_document(
    batches: BatchService, batch_id: int, document_id: int, document: Mapping[str, Any], order: Order
) -> Answer:
    """Replace a document of a batch that is SAVED, by `text` or `content`; without a `name` it keeps its own.

    What earlier runs read and answered stays as it is. Raises NotFound, StateRefused, VersionMismatch, Locked.
    """
    documents = db.table_of(Document)

    def store(connection: Connection, locked: LockedBatch) -> None:
        row = _row_of({"name": None, **document})
        values = {**_NO_SOURCE, **row, "created_at": locked.now}
        if not document.get("name"):
            del values["name"]
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


class _NewDocuments:
    """Documents to be added: of several with equal content the first alone is read and analysed."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._duplicates: list[dict[str, str]] = []
        self._leave_out({}, map(_row_of, documents))

    def leave_out_known(self, locked: LockedBatch) -> None:
        """Leave out what the batch has already."""
        rows, self.rows = self.rows, []
        wanted = [row["sha256"] for row in rows]
        self._leave_out(found_files.known_contents(locked.connection, locked.batch.id, wanted), rows)

    def store(self, connection: Connection, locked: LockedBatch) -> Mapping[str, Any]:
        """Write the documents, numbered after the batch's last; tell which were left out."""
        common = {"batch_id": locked.batch.id, "created_at": locked.now}
        first = locked.batch.document_count - len(self.rows) + 1  # the row counts them already
        numbered = [{**common, **row, "number": number} for number, row in enumerate(self.rows, first)]
        if numbered:
            connection.execute(insert(db.table_of(Document)), numbered)
        return {"duplicates": self._duplicates} if self._duplicates else {}

    def _leave_out(self, known: dict[tuple[str, bool], str], rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            content = (row["sha256"], row["folder"] is None)  # a text that reads like a pattern is no folder
            if content in known:
                self._duplicates.append({"name": row["name"], "of": known[content]})
            else:
                known[content] = row["name"]
                self.rows.append(row)


def _row_of(document: Mapping[str, Any]) -> dict[str, Any]:
    folder = document.get("folder")
    content: bytes | None = document.get("content")
    data = content if content is not None else str(folder or document["text"]).encode()
    return {
        "name": folder or document["name"],
        "media_type": FOLDER_TYPE if folder else document["media_type"],
        "text": document.get("text"),
        "content": content,
        "folder": folder,
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
