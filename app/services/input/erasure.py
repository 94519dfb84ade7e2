"""Erases one document of a batch on request: its text, its names, and all that was answered about it.

It is one transaction, under the batch's lock. The audit row has the id and the SHA-256 of the document, no content.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, select, update

from app import db
from app.domain.documents import ERASED_NAME
from app.domain.transitions import ERASE_DOCUMENT
from app.errors import Invalid, NotFound
from app.models import Document, Task
from app.services.access import idempotency
from app.services.batch.batch_service import BatchService
from app.services.batch.locked_batch import LockedBatch
from app.services.batch.orders import Answer, Order
from app.services.task import erasure
from app.services.task.endings import Endings

ERASED_MESSAGE = "The failed task was of a document that was erased."

_documents = db.table_of(Document)
_ids = bindparam("ids", expanding=True, type_=BigInteger)
_ONE = select(_documents).where(_documents.c.id == bindparam("document_id"), _documents.c.batch_id == bindparam("of"))
# The same file may have been found in folders by several runs, each time as a document of its own.
_SAME = select(_documents.c.id, _documents.c.parent_id, _documents.c.name).where(
    _documents.c.batch_id == bindparam("of"),
    _documents.c.sha256 == bindparam("content"),
    _documents.c.folder.is_(None),
    _documents.c.erased_at.is_(None),
)
_EMPTY = {"name": ERASED_NAME, "text": "", "content": None, "path": None}
_ERASE = update(_documents).where(_documents.c.id.in_(_ids)).values({**_EMPTY, "erased_at": bindparam("now")})
_OF_TASK = select(Task.document_id).where(Task.id == bindparam("task_id"))


def erase_document(batches: BatchService, batch_id: int, document_id: int, order: Order) -> Answer:
    """Erase a document, in any state of its batch; return the batch's view.

    The open tasks of its run are over: they count as COMPLETED, and as skipped. What a worker reports of them is not
    kept. A document that is erased already is answered in the same way, without a change. Raises NotFound, Invalid for
    a folder, VersionMismatch, Locked.
    """
    with batches.deciding(order) as decision:
        locked = decision.lock(batch_id)
        row = decision.connection.execute(_ONE, {"document_id": document_id, "of": batch_id}).one_or_none()
        if row is None:
            raise NotFound("document", document_id)
        if row.folder is not None:
            message = f"Document {document_id} is a folder. Erase the documents that were found in it."
            raise Invalid(message, errors={"document_id": ["is a folder"]})
        if row.erased_at is None:
            audited = replace(order, context={**order.context, "document_id": document_id, "sha256": row.sha256})
            _erase(decision.connection, locked, row.sha256, audited)
        return decision.record({**locked.view})


def _erase(connection: Connection, locked: LockedBatch, sha256: str, audited: Order) -> None:
    batch = locked.batch
    same = connection.execute(_SAME, {"of": batch.id, "content": sha256}).all()
    ids = [row.id for row in same]
    folders = {row.parent_id for row in same} - {None}
    locked.edit(ERASE_DOCUMENT, audited, _failure_without_content(connection, batch.failure_task_id, {*ids, *folders}))
    connection.execute(_ERASE, {"ids": ids, "now": locked.now})
    erasure.erase_documents(connection, batch.id, batch.run, ids, Endings(locked.now))
    erasure.forget_file(connection, batch.id, folders, sha256, {row.name for row in same})
    idempotency.erase_answers(connection, batch.id)
    locked.recount()
    locked.raise_due_events(Order())


def _failure_without_content(connection: Connection, task_id: int | None, ids: Collection[int]) -> dict[str, Any]:
    """Replace the message of the batch's failure if it quotes a task of these documents and folders."""
    if task_id is None or connection.execute(_OF_TASK, {"task_id": task_id}).scalar() not in ids:
        return {}
    return {"failure_message": ERASED_MESSAGE}
