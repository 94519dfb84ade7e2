"""The payload of a leased task: the document to stage, or the rendered prompt to answer.

A prompt is rendered when its task is leased: the text is stored once for a document, not for each prompt and model.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, select

from app import db
from app.domain import prompts
from app.domain.leases import TaskKind
from app.models import Document, Model, Prompt, ReadyTask, Task

_ids = bindparam("ids", expanding=True, type_=BigInteger)
_of_batches = bindparam("batch_ids", expanding=True, type_=BigInteger)
_DOCUMENTS = select(
    Document.id, Document.name, Document.media_type, Document.text, Document.path, Document.folder
).where(Document.id.in_(_ids))
_NAMES = select(Document.id, Document.name).where(Document.id.in_(_ids))
_STAGED = select(Task.id, Task.result).where(Task.id.in_(_ids))
_PROMPTS = select(db.table_of(Prompt)).where(Prompt.batch_id.in_(_of_batches))
_MODELS = select(Model.batch_id, Model.number, Model.connection, Model.model, Model.params).where(
    Model.batch_id.in_(_of_batches)
)
_READY = select(ReadyTask.number, ReadyTask.custom_id, ReadyTask.method, ReadyTask.url, ReadyTask.body).where(
    ReadyTask.batch_id == bindparam("batch_id"),
    # Without this range, a planner that has no statistics yet reads the whole batch and filters it.
    ReadyTask.number.between(bindparam("first"), bindparam("last")),
    ReadyTask.number.in_(bindparam("numbers", expanding=True)),
)


def payloads(connection: Connection, tasks: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Make the payload of each leased task of one batch, in order."""
    rows = list(tasks)
    staging = [row for row in rows if row.kind == TaskKind.STAGE]
    ready = [row for row in rows if row.ready_number is not None]
    rendered = [row for row in rows if row.staging_task_id is not None]
    documents = {row.id: row for row in _of(connection, _DOCUMENTS, (row.document_id for row in staging))}
    lines = _ready_lines(connection, ready)
    analysis = _Analysis(connection, rendered)
    for row in rows:
        if row.ready_number is not None:
            yield lines[row.ready_number]
        elif row.kind == TaskKind.STAGE:
            yield _staging_payload(documents[row.document_id])
        else:
            yield analysis.payload(row)


def _of(connection: Connection, statement: Any, ids: Iterable[int]) -> list[Any]:
    wanted = sorted(set(ids))
    return list(connection.execute(statement, {"ids": wanted})) if wanted else []


def _staging_payload(document: Any) -> dict[str, Any]:
    named = {"id": document.id, "name": document.name, "media_type": document.media_type}
    for source in ("text", "path", "folder"):
        if (value := getattr(document, source)) is not None:
            return {"document": named, source: value}
    return {"document": named, "content_url": f"/api/documents/{document.id}/content"}


def _ready_lines(connection: Connection, ready: list[Any]) -> dict[int, dict[str, Any]]:
    if not ready:
        return {}
    numbers = [row.ready_number for row in ready]
    values = {"batch_id": ready[0].batch_id, "numbers": numbers, "first": min(numbers), "last": max(numbers)}
    return {
        row.number: {"custom_id": row.custom_id, "method": row.method, "url": row.url, "body": row.body}
        for row in connection.execute(_READY, values)
    }


class _Analysis:
    """Renders the prompts of some analysis tasks over their staged texts."""

    def __init__(self, connection: Connection, rows: list[Any]) -> None:
        batch_ids = {"batch_ids": sorted({row.batch_id for row in rows})}
        self._names = {row.id: row.name for row in _of(connection, _NAMES, (r.document_id for r in rows))}
        self._staged = {row.id: row.result for row in _of(connection, _STAGED, (r.staging_task_id for r in rows))}
        self._prompts = {row.number: row for row in connection.execute(_PROMPTS, batch_ids)} if rows else {}
        self._models = {row.number: row for row in connection.execute(_MODELS, batch_ids)} if rows else {}

    def payload(self, row: Any) -> dict[str, Any]:
        name, prompt, model = (
            self._names[row.document_id],
            self._prompts[row.prompt_number],
            self._models[row.model_number],
        )
        staged = self._staged[row.staging_task_id]
        payload = {
            "document": {"id": row.document_id, "name": name},
            "prompt": prompt.name,
            "connection": model.connection,
            "model": model.model,
            "params": model.params,
            "messages": prompts.messages(prompt.text, staged["text"], name, staged.get("metadata"), prompt.system),
        }
        return payload if prompt.schema is None else {**payload, "schema": prompt.schema}
