"""What an action's context asks of the service itself, beside what it tells the audit trail.

An action that knows such words has a reader here: it reads them under the batch's lock, refuses what is wrong with
them, and gives the columns of the batch's row that are written along with the change.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from app.domain import reuse
from app.models import Model, Prompt
from app.services.records import BatchRecord

Reader = Callable[[Connection, BatchRecord, Mapping[str, Any]], dict[str, Any]]


def _read_reuse(connection: Connection, batch: BatchRecord, context: Mapping[str, Any]) -> dict[str, Any]:
    said = reuse.said(context)
    redo = reuse.redo_of(said)
    if redo and (redo.prompts or redo.models):
        prompts = connection.execute(select(Prompt.name).where(Prompt.batch_id == batch.id)).scalars()
        models = connection.execute(select(Model.connection, Model.model).where(Model.batch_id == batch.id))
        reuse.check(redo, prompts, [(row.connection, row.model) for row in models])
    return {"reuse": said}


_READERS: dict[str, Reader] = {"stage": _read_reuse, "restage": _read_reuse}


def columns_of(connection: Connection, batch: BatchRecord, action: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `context` asks of the service: the batch's new columns. Raises Invalid naming the field."""
    reader = _READERS.get(action)
    return reader(connection, batch, context) if reader else {}
