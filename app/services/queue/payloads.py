"""The payload of a leased task: the document to stage, or the rendered prompt to answer.

A prompt is rendered when its task is leased: the text is stored once for a document, not for each prompt and model.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, Text, and_, bindparam, case, cast, exists, func, not_, select, text

from app import db
from app.array_texts import array_text
from app.domain import prompts
from app.domain.document.parts import with_part
from app.domain.documents import IMAGES, OnTooLong, PromptInput
from app.domain.leases import TaskKind
from app.domain.prompts import PromptTooLarge
from app.models import Batch, Document, Model, Prompt, ReadyTask, Task
from app.prepared_statements import Prepared

NO_LIMIT = 2**62

_ids = bindparam("ids", expanding=True, type_=BigInteger)
_of_batches = bindparam("batch_ids", expanding=True, type_=BigInteger)
_room = bindparam("room", type_=BigInteger)


def _read(text: Any, order: Any) -> tuple[Any, Any]:
    """Select a text if the texts before it leave room for its beginning, else NULL; and whether it is read.

    So the database sends no text for which the answer has no room. Lengths and the room are in characters.
    """
    length = func.coalesce(func.length(cast(text, Text)), 0)
    is_read = func.sum(length).over(order_by=order) - length < _room
    return case((is_read, text)).label(text.key), is_read.label("is_read")


def _has_prompts(given: PromptInput) -> Any:
    return exists().where(Prompt.batch_id == Document.batch_id, Prompt.input == given).correlate(Document)


# Then a document needs no text.
_only_images = and_(_has_prompts(PromptInput.IMAGES), not_(_has_prompts(PromptInput.TEXT)))
_DOCUMENTS = select(
    Document.id,
    Document.name,
    Document.media_type,
    *_read(Document.text, Document.id),
    Document.path,
    Document.folder,
    _only_images.label("only_images"),
).where(Document.id.in_(_ids))
_NAMED = select(
    Document.id,
    Document.name,
    Document.media_type,
    Document.path,
    Document.sha256,
    Document.text.is_not(None).label("is_text"),
).where(Document.id.in_(_ids))
_STAGED = select(Task.id, *_read(Task.result, Task.id)).where(Task.id.in_(_ids))
_PROMPTS = (
    select(db.table_of(Prompt), Batch.on_too_long)
    .join(Batch, Batch.id == Prompt.batch_id)
    .where(Prompt.batch_id.in_(_of_batches))
)
_MODELS = select(Model.batch_id, Model.number, Model.connection, Model.model, Model.params).where(
    Model.batch_id.in_(_of_batches)
)
_OF_READY = select(
    ReadyTask.number,
    ReadyTask.custom_id,
    ReadyTask.method,
    ReadyTask.url,
    *_read(cast(ReadyTask.body, Text).label("body"), ReadyTask.number),
).where(
    ReadyTask.batch_id == bindparam("batch_id"),
    # Without this range, a planner that has no statistics yet reads the whole batch and filters it.
    ReadyTask.number.between(bindparam("first"), bindparam("last")),
)
_READY_POSTGRESQL = Prepared(
    "ready_lines", _OF_READY.where(text("ready_tasks.number = ANY (CAST(:numbers AS int[]))")), by_index=True
)
_READY_SQLITE = _OF_READY.where(ReadyTask.number.in_(bindparam("numbers", expanding=True)))


Payload = dict[str, Any] | PromptTooLarge | None


def payloads(connection: Connection, tasks: Iterable[Any], room: int = NO_LIMIT) -> Iterator[Payload]:
    """Make the payload of each leased task of one batch, in order.

    Texts are read up to about `room` characters, and always the first one. It is None for a task whose text was not
    read, and a PromptTooLarge for a task that can have no payload.
    """
    rows = list(tasks)
    staging = [row for row in rows if row.kind == TaskKind.STAGE]
    ready = [row for row in rows if row.ready_number is not None]
    rendered = [row for row in rows if row.staging_task_id is not None]
    if staging or rendered:
        db.plan_by_statistics(connection)  # the lease was planned by index
    documents = {row.id: row for row in _of(connection, _DOCUMENTS, (row.document_id for row in staging), room=room)}
    lines = _ready_lines(connection, ready, room)
    analysis = _Analysis(connection, rendered, room)
    for row in rows:
        if row.ready_number is not None:
            yield lines[row.ready_number]
        elif row.kind == TaskKind.STAGE:
            document = documents[row.document_id]
            yield _staging_payload(document) if document.is_read else None
        else:
            yield analysis.payload(row)


def _of(connection: Connection, statement: Any, ids: Iterable[int], **values: int) -> list[Any]:
    wanted = sorted(set(ids))
    return list(connection.execute(statement, {"ids": wanted, **values})) if wanted else []


def _staging_payload(document: Any) -> dict[str, Any]:
    named = {"id": document.id, "name": document.name, "media_type": document.media_type}
    payload = {"document": named, **({"text_is_optional": True} if document.only_images else {})}
    for source in ("text", "path", "folder"):
        if (value := getattr(document, source)) is not None:
            return {**payload, source: value}
    return {**payload, "content_url": _content_url(document)}


def _content_url(document: Any) -> str:
    return f"/api/documents/{document.id}/content"


def _images(document: Any) -> dict[str, Any]:
    """Say of which file the worker shall make pictures, and how. A text that was given inline has no file."""
    wanted = {**IMAGES, "media_type": document.media_type, "sha256": document.sha256}
    if document.is_text:
        return wanted
    return {**wanted, **({"path": document.path} if document.path else {"content_url": _content_url(document)})}


def _ready_lines(connection: Connection, ready: list[Any], room: int) -> dict[int, Payload]:
    if not ready:
        return {}
    numbers = [row.ready_number for row in ready]
    values = {"batch_id": ready[0].batch_id, "first": min(numbers), "last": max(numbers), "room": room}
    found: Iterable[Any]
    if db.is_postgresql(connection):
        found = _READY_POSTGRESQL.rows(connection, **values, numbers=array_text(numbers))
    else:
        found = connection.execute(_READY_SQLITE, {**values, "numbers": numbers})
    return {
        row.number: {"custom_id": row.custom_id, "method": row.method, "url": row.url, "body": orjson.loads(row.body)}
        if row.is_read
        else None
        for row in found
    }


class _Analysis:
    """Renders the prompts of some analysis tasks over their staged texts."""

    def __init__(self, connection: Connection, rows: list[Any], room: int) -> None:
        batch_ids = {"batch_ids": sorted({row.batch_id for row in rows})}
        self._documents = {row.id: row for row in _of(connection, _NAMED, (r.document_id for r in rows))}
        staged = _of(connection, _STAGED, (r.staging_task_id for r in rows), room=room)
        self._staged = {row.id: row.result for row in staged if row.is_read}
        self._prompts = {row.number: row for row in connection.execute(_PROMPTS, batch_ids)} if rows else {}
        self._models = {row.number: row for row in connection.execute(_MODELS, batch_ids)} if rows else {}

    def payload(self, row: Any) -> Payload:
        staged = self._staged.get(row.staging_task_id)
        if staged is None:
            return None
        document, prompt, model = (
            self._documents[row.document_id],
            self._prompts[row.prompt_number],
            self._models[row.model_number],
        )
        name, with_images = document.name, prompt.input == PromptInput.IMAGES
        text, metadata = "" if with_images else staged["text"], staged.get("metadata")
        named = {"id": row.document_id, "name": name}
        if row.part:
            start, end = staged["parts"][row.part - 1]
            text, metadata = text[start:end], with_part(metadata, row.part, row.parts)
            named |= {"part": row.part, "parts": row.parts}
        given = (prompt.text, text, name, metadata, prompt.system)
        try:
            messages = prompts.messages(*given)
        except PromptTooLarge as error:
            return error
        payload = {
            "document": named,
            "prompt": prompt.name,
            "connection": model.connection,
            "model": model.model,
            "params": model.params,
            "messages": messages,
        }
        if with_images:
            payload["images"] = _images(document)
        elif prompt.on_too_long == OnTooLong.TRUNCATE:
            payload["document_at"] = prompts.places_of_document(messages, *given)
        return payload if prompt.schema is None else {**payload, "schema": prompt.schema}
