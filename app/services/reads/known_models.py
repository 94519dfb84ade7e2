"""The models of earlier batches and what a token cost with them: what the form of a new batch offers."""

from typing import Any

from sqlalchemy import Engine, Float, cast, func, select

from app import db
from app.db import reading
from app.domain.money import NANOS
from app.models import Batch, Model, UsageCounts

NEWEST_BATCHES = 100
MOST_MODELS = 50

_usage = db.table_of(UsageCounts)
_newest = select(Batch.id).where(Batch.archived_at.is_(None)).order_by(Batch.id.desc()).limit(NEWEST_BATCHES)
_of_batch = (
    select(
        _usage.c.batch_id,
        _usage.c.model_number,
        func.sum(_usage.c.input_tokens).label("input_tokens"),
        func.sum(_usage.c.cost_nanos).label("cost_nanos"),
    )
    .where(_usage.c.batch_id.in_(_newest))
    .group_by(_usage.c.batch_id, _usage.c.model_number)
    .subquery()
)
_KNOWN = (
    select(
        Model.connection,
        Model.model,
        func.max(Model.batch_id).label("newest"),
        cast(func.sum(_of_batch.c.input_tokens), Float).label("input_tokens"),
        cast(func.sum(_of_batch.c.cost_nanos), Float).label("cost_nanos"),
    )
    .join(
        _of_batch,
        (_of_batch.c.batch_id == Model.batch_id) & (_of_batch.c.model_number == Model.number),
        isouter=True,
    )
    .where(Model.batch_id.in_(_newest))
    .group_by(Model.connection, Model.model)
    .order_by(func.max(Model.batch_id).desc(), Model.connection, Model.model)
    .limit(MOST_MODELS)
)


class KnownModels:
    """Reads the models of earlier batches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last_used(self) -> list[dict[str, Any]]:
        """List the models of the newest batches, last used first.

        `cost_a_token` is the whole cost of the calls, with that of the answers, for each token of input; None where no
        call had a cost.
        """
        with reading(self._engine) as connection:
            return [
                {"connection": row.connection, "model": row.model, "cost_a_token": _price(row)}
                for row in connection.execute(_KNOWN)
            ]


def _price(row: Any) -> float | None:
    return row.cost_nanos / NANOS / row.input_tokens if row.cost_nanos and row.input_tokens else None
