"""The list of batches for operators: those that need somebody, those at work, the others; each with its last change.

The number of statements does not depend on the number of batches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from app import db
from app.db import reading
from app.domain.leases import is_silent, stands_still
from app.domain.transitions import AT_WORK, NEEDS_AN_OPERATOR, BatchState
from app.services.batch.batch_rows import look_at
from app.services.batch.batch_view import BatchView, batch_view
from app.services.reads import audit, progress
from app.services.reads.batches import PAGE, Filter, Sort, ids_of
from app.services.reads.workers import heard_last

OTHERS = tuple(state for state in BatchState if state not in (*AT_WORK, *NEEDS_AN_OPERATOR))


@dataclass(frozen=True)
class Listed:
    """A batch in the list."""

    batch: BatchView
    change: dict[str, Any] | None  # the newest
    rate: float | None  # tasks a second; None if it is not at work
    seconds_left: float | None
    still_seconds: float | None  # of a batch that stands still: for how long no task was leased or reported
    is_stuck: bool  # it stands still, and not because the calls of workers that are heard are slow


@dataclass(frozen=True)
class Sections:
    """The first page of the list. The first two sections have the newest batches of theirs."""

    needs_you: list[Listed]  # those that are stuck are among them
    running: list[Listed]
    others: list[Listed]
    next_cursor: int | None  # of the others


class BatchList:
    """Reads the list of batches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sections(self) -> Sections:
        """Give the first page, in sections, each newest first."""
        with reading(self._engine) as connection:
            needs, _ = ids_of(connection, Filter(states=NEEDS_AN_OPERATOR), Sort.NEWEST, None, PAGE)
            at_work, _ = ids_of(connection, Filter(states=AT_WORK), Sort.NEWEST, None, PAGE)
            others, further = ids_of(connection, Filter(states=OTHERS), Sort.NEWEST, None, PAGE)
            found = _listed(connection, [*needs, *at_work, *others])
        running = _in_order(found, at_work)
        stuck = [each for each in running if each.is_stuck]
        return Sections(
            [*stuck, *_in_order(found, needs)],
            [each for each in running if not each.is_stuck],
            _in_order(found, others),
            further,
        )

    def page(
        self, wanted: Filter, sort: Sort = Sort.NEWEST, after: int | None = None, limit: int = PAGE
    ) -> tuple[list[Listed], int | None]:
        """Give a page of the batches that match a filter, and the cursor of the next page, or None."""
        with reading(self._engine) as connection:
            ids, further = ids_of(connection, wanted, sort, after, limit)
            return _in_order(_listed(connection, ids), ids), further


def _in_order(found: dict[int, Listed], ids: Iterable[int]) -> list[Listed]:
    return [found[batch_id] for batch_id in ids if batch_id in found]


def _listed(connection: Connection, ids: Sequence[int]) -> dict[int, Listed]:
    now = db.now(connection)
    changes = audit.last_of(connection, ids)
    batches = look_at(connection, ids)
    finished = {
        (batch.id, batch.run): facts.analysis.completed + facts.analysis.failed
        for batch, facts in batches
        if batch.state in AT_WORK
    }
    rates = progress.rates_of(connection, finished, now)
    at_work = [(batch, facts.idle_seconds) for batch, facts in batches if batch.state in AT_WORK]
    still = {batch.id: seconds for batch, seconds in at_work if stands_still(seconds, batch.lease_seconds)}
    heard = heard_last(connection, list(still))
    listed = {}
    for batch, facts in batches:
        rate = rates.get((batch.id, batch.run))
        at = heard.get(batch.id)
        is_heard = at is not None and not is_silent((now - at).total_seconds(), batch.lease_seconds)
        listed[batch.id] = Listed(
            batch_view(batch, facts),
            changes.get(batch.id),
            rate,
            facts.analysis.open / rate if rate else None,
            still.get(batch.id),
            batch.id in still and stands_still(still[batch.id], batch.lease_seconds, is_heard),
        )
    return listed
