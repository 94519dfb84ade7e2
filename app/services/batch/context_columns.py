"""What an action's context asks of the service itself, read under the batch's lock: its form by the domain, its names
against what the batch has.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from app.domain import action_contexts, reuse
from app.models import Model, Prompt
from app.services.batch.batch_rows import BatchRecord


def columns_of(connection: Connection, batch: BatchRecord, action: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Give the columns of the batch's row that are written along with the action. Raises Invalid naming the key."""
    columns = action_contexts.columns_of(action, context)
    redo = reuse.redo_of(columns.get("reuse"))
    if redo and (redo.prompts or redo.models):
        prompts = connection.execute(select(Prompt.name).where(Prompt.batch_id == batch.id)).scalars()
        models = connection.execute(select(Model.connection, Model.model).where(Model.batch_id == batch.id))
        reuse.check(redo, prompts, [(row.connection, row.model) for row in models])
    return columns
