"""The workers that are present, and what each of them can do."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from app import db
from app.domain.connection.abilities import Abilities, Target
from app.models import WorkerSighting
from app.prepared_statements import Prepared

PRESENT = timedelta(seconds=90)  # a worker that was seen within this time is present: it asks for tasks every 30 s
MOST_WORKERS = 1_000  # that are read, the last seen first

_seen = db.table_of(WorkerSighting)
_ANNOUNCED = (
    select(_seen.c.worker, _seen.c.can).order_by(_seen.c.last_seen_at.desc(), _seen.c.worker).limit(MOST_WORKERS)
)
_PRESENT = Prepared("present_workers", _ANNOUNCED.where(_seen.c.last_seen_at >= bindparam("since")))
# What the workers that are present can do, as one value for a statement of PostgreSQL.
CAN_AS_JSON = (
    f"(SELECT coalesce(json_agg(can), '[]') FROM (SELECT can FROM worker_sightings"
    f" WHERE last_seen_at >= statement_timestamp() - interval '{PRESENT.total_seconds()} s'"
    f" ORDER BY last_seen_at DESC LIMIT {MOST_WORKERS}) AS present)"
)


class PresentWorker(NamedTuple):
    """A worker that was seen lately, and what it can do."""

    name: str
    abilities: Abilities


def present_workers(connection: Connection, now: datetime | None = None) -> list[PresentWorker]:
    """List the workers that are present now, the last seen first; a caller that knows the time gives it."""
    rows = _PRESENT.rows(connection, since=(now or db.now(connection)) - PRESENT)
    return [PresentWorker(row.worker, Abilities(row.can)) for row in rows]


def present_abilities(connection: Connection, now: datetime | None = None) -> list[Abilities]:
    """List what each worker can do that is present now."""
    return [each.abilities for each in present_workers(connection, now)]


def is_served(target: Target, abilities: Iterable[Abilities]) -> bool:
    """Whether a worker with one of these abilities can do tasks with a target."""
    return any(each.takes(target) for each in abilities)


def known_abilities(connection: Connection) -> list[Abilities]:
    """List what the workers of the last seven days can do, each as it announced it last."""
    return [Abilities(row.can) for row in connection.execute(_ANNOUNCED)]
