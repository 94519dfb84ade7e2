"""The list of batches as a page shows it: how many are in each state, a page in an order, what an action would do.

The number of statements is the same for ten batches and for thousands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Select, and_, func, or_, select

from app import db
from app.db import reading
from app.domain import transitions
from app.domain.transitions import BatchState
from app.models import Batch
from app.services.batch.batch_rows import look_at
from app.services.batch.batch_view import BatchView, batch_view, effect_of

PAGE = 50
MOST_AT_ONCE = 200  # batches of one bulk action

_batches = db.table_of(Batch)
_name = func.lower(_batches.c.name)


class Sort(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"
    NAME = "name"


@dataclass(frozen=True)
class Filter:
    """Which batches; `name` is a part of the name, in any case."""

    state: BatchState | None = None
    name: str = ""


class BatchList:
    """Reads the list, as of the last commit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def counts(self, name: str = "") -> dict[BatchState, int]:
        """Count the batches in each state, among those that are called so."""
        statement = _matching(Filter(name=name), _batches.c.state, func.count()).group_by(_batches.c.state)
        with reading(self._engine) as connection:
            rows: Any = connection.execute(statement)
            counted = {state: int(amount) for state, amount in rows}
        return {state: counted.get(state, 0) for state in BatchState}

    def page(
        self, wanted: Filter, sort: Sort = Sort.NEWEST, after: int | None = None, limit: int = PAGE
    ) -> tuple[list[BatchView], int | None]:
        """Give a page of batches after the batch `after`, and the cursor of the next page, or None."""
        statement = _sorted(_matching(wanted, _batches.c.id), sort, after).limit(limit + 1)
        with reading(self._engine) as connection:
            ids: list[int] = list(connection.execute(statement).scalars())
            found = {batch.id: batch_view(batch, facts) for batch, facts in look_at(connection, ids[:limit])}
        rows = [found[batch_id] for batch_id in ids[:limit] if batch_id in found]
        return rows, ids[limit - 1] if len(ids) > limit else None

    def ids(self, wanted: Filter, limit: int = MOST_AT_ONCE) -> list[int]:
        """List the first batches that a filter takes, newest first."""
        statement = _sorted(_matching(wanted, _batches.c.id), Sort.NEWEST, None).limit(limit)
        with reading(self._engine) as connection:
            return list(connection.execute(statement).scalars())

    def judged(self, batch_ids: Sequence[int], action: str) -> list[dict[str, Any]]:
        """Say of each batch whether an action is allowed now, why not, and what it would do to its tasks."""
        target = transitions.BY_TRIGGER[action].target
        judged = []
        with reading(self._engine) as connection:
            found = look_at(connection, batch_ids)
        for batch, facts in found:
            ok, reason = transitions.can(action, batch.state, facts)
            effect = effect_of(batch.state, target, facts) if ok else None
            judged.append({**batch_view(batch, facts), "allowed": ok, "reason": reason, "effect": effect})
        return judged


def _matching(wanted: Filter, *columns: Any) -> Select[Any]:
    statement = select(*columns).where(_batches.c.archived_at.is_(None))
    if wanted.state is not None:
        statement = statement.where(_batches.c.state == wanted.state)
    if wanted.name:
        statement = statement.where(_batches.c.name.icontains(wanted.name, autoescape=True))
    return statement


def _sorted(statement: Select[Any], sort: Sort, after: int | None) -> Select[Any]:
    ident = _batches.c.id
    if sort is Sort.NAME:
        if after is not None:
            other = _batches.alias()
            last = select(func.lower(other.c.name)).where(other.c.id == after).scalar_subquery()
            statement = statement.where(or_(_name > last, and_(_name == last, ident > after)))
        return statement.order_by(_name, ident)
    if sort is Sort.OLDEST:
        return (statement if after is None else statement.where(ident > after)).order_by(ident)
    return (statement if after is None else statement.where(ident < after)).order_by(ident.desc())
