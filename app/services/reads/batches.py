"""Batches: one of them, a sorted page of the list, the number in each state, and what an action would do to several.

The number of statements does not depend on the number of batches. Archived batches are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, and_, bindparam, func, or_, select

from app import db
from app.array_texts import array_text
from app.batch_memory import BatchMemory
from app.db import reading
from app.domain import transitions
from app.domain.connection.abilities import Target
from app.domain.facts import Facts
from app.domain.ids import plain_number
from app.domain.transitions import UNFINISHED, BatchState
from app.models import Batch, Model, Prompt
from app.prepared_statements import Prepared
from app.services.batch.batch_rows import (
    AMOUNT_WAITING,
    CLOCK,
    COUNTS,
    ONE_AND_CLOCK,
    BatchRecord,
    Glance,
    RunCounts,
    facts_of,
    glance,
    look_at,
    look_with_clock,
    not_found,
)
from app.services.batch.batch_view import BatchView, batch_view, effect_of
from app.services.connection import targets, waiting
from app.services.connection.waiting import WaitingFor
from app.services.task import usage_counts

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
    """Which batches; None or no state means each state. `name` is a part of the name, in any case, or the id."""

    state: BatchState | None = None
    name: str = ""
    states: tuple[BatchState, ...] = ()


# Everything that is shown of one batch, in one round trip; on its page also how many requests wait for it.
_whole = ONE_AND_CLOCK.add_columns(usage_counts.PRESENT_SHARES, *waiting.MAY_WAIT)
_WHOLE = Prepared("whole", _whole, by_index=True)
_WHOLE_AND_WAITING = Prepared("whole_and_waiting", _whole.add_columns(AMOUNT_WAITING), by_index=True)
# The same of a batch whose row and names are known: what changes while its version stays. In a database that was
# restored a version may come again, at another time.
_rest = (_batches.c.version, _batches.c.updated_at, COUNTS, CLOCK, usage_counts.PRESENT_SHARES, *waiting.KNOWN_MAY_WAIT)
_REST = Prepared("rest", ONE_AND_CLOCK.with_only_columns(*_rest), by_index=True)
_PROMPTS = select(Prompt.number, Prompt.name).where(Prompt.batch_id == bindparam("batch_id"))
_MODELS = select(Model.number, Model.connection, Model.model).where(Model.batch_id == bindparam("batch_id"))
MOST_KNOWN = 1_000  # batches of which a process knows the row and the names


def whole_view(connection: Connection, batch: BatchRecord, facts: Facts, waits: list[WaitingFor]) -> BatchView:
    """Show a batch, what its present run used by model and by prompt, and what its tasks wait for."""
    view = batch_view(batch, facts, usage_counts.by_model_and_prompt(connection, batch.id, batch.run))
    view["waiting_for"] = waits
    return view


def may_wait(batch: BatchRecord, facts: Facts) -> bool:
    """Whether a batch has tasks that may wait for something."""
    return batch.state in UNFINISHED and facts.staging.queued + facts.analysis.queued > 0


class _Known(NamedTuple):
    """The row of a batch, what it calls its prompts and models, and what its tasks need of workers, by number."""

    of: tuple[int, datetime]  # its version, and when it began
    batch: BatchRecord
    prompts: dict[int, str]
    models: dict[int, tuple[str, str]]
    targets: dict[int, Target]
    to_read: dict[str, Any]  # the parameters of _REST


class _KnownBatches:
    """Batches of PostgreSQL as this process knows them. Each read looks whether the version is still the same."""

    def __init__(self) -> None:
        self._kept: BatchMemory[_Known] = BatchMemory(most=MOST_KNOWN)

    def read(self, connection: Connection, batch_id: int) -> tuple[_Known, Any]:
        """Read a batch and a row of what is not in the row of the batch. Raises NotFound."""
        if known := self._kept.get(batch_id):
            row = _REST.row(connection, **known.to_read)
            if row is not None and (row.version, row.updated_at) == known.of:
                return known, row
        return self.read_whole(connection, batch_id, _WHOLE)

    def read_whole(self, connection: Connection, batch_id: int, statement: Prepared) -> tuple[_Known, Any]:
        """Read a batch by one of the statements for a whole batch. Raises NotFound."""
        row = statement.row(connection, batch_id=batch_id)
        if row is None:
            raise not_found(connection, batch_id)
        of, known = (row.version, row.updated_at), self._kept.get(batch_id)
        if known is not None and known.of == of:
            return known, row
        batch = BatchRecord.of(row)
        if not row.shares and not row.queued:  # nothing that is shown of it has a name
            return _Known(of, batch, {}, {}, {}, {}), row
        return self._kept.put(batch_id, _with_names(connection, batch, of)), row


def _with_names(connection: Connection, batch: BatchRecord, of: tuple[int, datetime]) -> _Known:
    of_batch: Any = {"batch_id": batch.id}
    found = targets.reported(connection, batch.id)
    kind = next(iter(transitions.reported_kinds(batch.state)), None)
    return _Known(
        of,
        batch,
        prompts={row.number: row.name for row in connection.execute(_PROMPTS, of_batch)},
        models={row.number: (row.connection, row.model) for row in connection.execute(_MODELS, of_batch)},
        targets=found,
        to_read={**of_batch, "run": batch.run, "kind": kind, "targets": array_text(found)},
    )


class Batches:
    """Reads batches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known = _KnownBatches()

    def show(self, batch_id: int) -> BatchView:
        """Show a batch, and what it used by model and by prompt. Raises NotFound."""
        with reading(self._engine) as connection:
            if db.is_postgresql(connection):
                known, row = self._known.read(connection, batch_id)
                return _view(connection, known, row, _facts_of(known, row))
            batch, facts, now = look_with_clock(connection, batch_id)
            return _view_by_parts(connection, batch, facts, now)

    def glance(self, batch_id: int) -> tuple[Glance, BatchView]:
        """Read one batch so that any change of it shows, and show it as `show` does. Raises NotFound."""
        with reading(self._engine) as connection:
            if db.is_postgresql(connection):
                known, row = self._known.read_whole(connection, batch_id, _WHOLE_AND_WAITING)
                facts = _facts_of(known, row)
                view = _view(connection, known, row, facts)
                return Glance(known.batch, facts, row.now, row.amount_waiting), view
            found = glance(connection, batch_id)
            return found, _view_by_parts(connection, found.batch, found.facts, found.now)

    def counts(self, name: str = "") -> dict[str, int]:
        """Count the batches in each state; `name` is a part of their names, in any case."""
        statement = _matching(Filter(name=name), _batches.c.state, func.count()).group_by(_batches.c.state)
        with reading(self._engine) as connection:
            rows: Any = connection.execute(statement)
            counted = {state: int(amount) for state, amount in rows}
        return {state: counted.get(state, 0) for state in BatchState}

    def page(
        self, wanted: Filter, sort: Sort = Sort.NEWEST, after: int | None = None, limit: int = PAGE
    ) -> tuple[list[BatchView], int | None]:
        """Give a page of batches after the batch `after`, and the cursor of the next page, or None."""
        with reading(self._engine) as connection:
            ids, further = ids_of(connection, wanted, sort, after, limit)
            found = {batch.id: batch_view(batch, facts) for batch, facts in look_at(connection, ids)}
        return [found[batch_id] for batch_id in ids if batch_id in found], further

    def ids(self, wanted: Filter, limit: int = MOST_AT_ONCE) -> list[int]:
        """List the ids of the batches that match a filter, newest first."""
        with reading(self._engine) as connection:
            return ids_of(connection, wanted, Sort.NEWEST, None, limit)[0]

    def judged(self, batch_ids: Sequence[int], action: str) -> list[dict[str, Any]]:
        """Show each batch, whether an action is allowed now, why not, and what it would do to the tasks."""
        target = transitions.BY_TRIGGER[action].target
        judged = []
        with reading(self._engine) as connection:
            found = look_at(connection, batch_ids)
        for batch, facts in found:
            ok, reason = transitions.can(action, batch.state, facts)
            effect = effect_of(batch.state, target, facts) if ok else None
            judged.append({**batch_view(batch, facts), "allowed": ok, "reason": reason, "effect": effect})
        return judged


def _facts_of(known: _Known, row: Any) -> Facts:
    return facts_of(known.batch, RunCounts.of_kinds(row.counts), row.now)


def _view(connection: Connection, known: _Known, row: Any, facts: Facts) -> BatchView:
    """Show what `whole_view` shows, from a row of PostgreSQL."""
    view = batch_view(known.batch, facts, usage_counts.shares_of(row.shares, known.models, known.prompts))
    view["waiting_for"] = waiting.waits_of(connection, row, known.targets)
    return view


def _view_by_parts(connection: Connection, batch: BatchRecord, facts: Facts, now: datetime) -> BatchView:
    waits = waiting.waiting_for(connection, batch.id, now) if may_wait(batch, facts) else []
    return whole_view(connection, batch, facts, waits)


def ids_of(
    connection: Connection, wanted: Filter, sort: Sort, after: int | None, limit: int
) -> tuple[list[int], int | None]:
    """List the ids of a page of batches after the batch `after`, and the cursor of the next page, or None."""
    statement = _sorted(_matching(wanted, _batches.c.id), sort, after).limit(limit + 1)
    ids: list[int] = list(connection.execute(statement).scalars())
    return ids[:limit], ids[limit - 1] if len(ids) > limit else None


def _matching(wanted: Filter, *columns: Any) -> Select[Any]:
    statement = select(*columns).where(_batches.c.archived_at.is_(None))
    if wanted.state is not None:
        statement = statement.where(_batches.c.state == wanted.state)
    if wanted.states:
        statement = statement.where(_batches.c.state.in_(wanted.states))
    if wanted.name:
        is_named = _batches.c.name.icontains(wanted.name, autoescape=True)
        number = plain_number(wanted.name.removeprefix("#"))
        statement = statement.where(is_named if number is None else or_(is_named, _batches.c.id == number))
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
