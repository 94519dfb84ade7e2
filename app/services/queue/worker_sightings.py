"""When each worker was last seen, and what it did: counted in the memory of the process, written every two seconds.

A lease or report adds to a number. The thread of the sweeper writes all numbers, in each process; where it does not
run, the first lease or report after ten seconds does, after its own commit. What a process has not written when it
dies is lost: these numbers are shown to people, and no rule reads them.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, case, delete, func
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app import db
from app.db import transaction
from app.domain.leases import Outcome
from app.errors import Refusal
from app.models import WorkerSighting

EVERY_SECONDS = 2.0
LONGEST_SECONDS = 10.0  # then a lease or a report writes
KEPT = timedelta(days=7)
MOST_PENDING = 1_000  # names between two writes; further names are ignored: no installation has so many workers

log = structlog.get_logger()
_sightings = db.table_of(WorkerSighting)


class Sightings:
    """What workers did in this process since it last wrote."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._pending: dict[str, Counter[str]] = {}
        self._known: dict[str, int] = {}  # the hash of what a worker announced last to this process
        self._announced: dict[str, frozenset[str] | None] = {}  # and what of it is not written yet
        self._written_at = time.monotonic()

    def leased(self, worker: str, amount: int, can: frozenset[str] | None = None) -> None:
        """Note that a worker leased `amount` tasks (0: none were for it), and what it can do (None: everything).

        Abilities that are new are written at once: people wait to see them.
        """
        with self._lock:
            is_new = self._known.get(worker, hash(None)) != hash(can)
            if worker not in self._known and len(self._known) >= MOST_PENDING:
                self._known.clear()
            if is_new or worker not in self._known:
                self._known[worker], self._announced[worker] = hash(can), can
        self._note({(worker, "leased"): amount}, at_once=is_new)

    def renewed(self, workers: Iterable[str | None]) -> None:
        """Note that workers sent heartbeats for their leases."""
        self._note({(worker, "leased"): 0 for worker in workers if worker})

    def reported(self, reports: Iterable[tuple[str | None, Outcome]]) -> None:
        """Note the reports that counted, each by the worker that held the lease and its outcome."""
        counted = Counter(reports)
        self._note({(worker, str(outcome)): amount for (worker, outcome), amount in counted.items() if worker})

    def write_if_due(self) -> None:
        """Write what was noted, if the last write was some time ago."""
        with self._lock:
            due = bool(self._pending) and time.monotonic() - self._written_at >= EVERY_SECONDS
        if due:
            self.write()

    def write(self) -> None:
        """Write what was noted. If the database is busy, it stays noted for the next write."""
        with self._lock:
            pending, self._pending, self._written_at = self._pending, {}, time.monotonic()
            announced, self._announced = self._announced, {}
        if not pending:
            return
        try:
            with transaction(self._engine) as connection:
                _write(connection, pending, announced)
        except Refusal as refusal:
            log.warning("sightings_not_written", reason=refusal.detail)
            with self._lock:
                for worker, counted in pending.items():
                    self._pending.setdefault(worker, Counter()).update(counted)
                self._announced = announced | self._announced

    def _note(self, seen: Mapping[tuple[str, str], int], at_once: bool = False) -> None:
        with self._lock:
            for (worker, what), amount in seen.items():
                if worker in self._pending or len(self._pending) < MOST_PENDING:
                    self._pending.setdefault(worker, Counter())[what] += amount
            due = at_once or time.monotonic() - self._written_at >= LONGEST_SECONDS
        if due:
            self.write()


def forget_old(connection: Connection) -> None:
    """Delete the workers that were not seen for a week."""
    connection.execute(delete(_sightings).where(_sightings.c.last_seen_at < db.now(connection) - KEPT))


def minute_of(at: datetime) -> int:
    """Count the minutes from 1970 to a time."""
    return int(at.timestamp()) // 60


def _write(
    connection: Connection, pending: dict[str, Counter[str]], announced: Mapping[str, frozenset[str] | None]
) -> None:
    now = db.now(connection)
    insert = postgresql_insert if db.is_postgresql(connection) else sqlite_insert
    # In the order of names: two processes that write at the same time cannot deadlock.
    rows = [_row(worker, pending[worker], announced.get(worker), now) for worker in sorted(pending)]
    statement = insert(_sightings).values(rows)
    old, new = _sightings.c, statement.excluded
    same = old.minute == new.minute
    changed = {
        "last_seen_at": new.last_seen_at,
        "last_work_at": func.coalesce(new.last_work_at, old.last_work_at),
        **{name: old[name] + new[name] for name in ("leased", "completed", "failed")},
        "can": case((new.worker.in_(sorted(announced)), new.can), else_=old.can),
        "minute": new.minute,
        "minute_reports": case((same, old.minute_reports), else_=0) + new.minute_reports,
        "previous_reports": case(
            (same, old.previous_reports), (old.minute == new.minute - 1, old.minute_reports), else_=0
        ),
    }
    connection.execute(statement.on_conflict_do_update(index_elements=["worker"], set_=changed))


def _row(worker: str, counted: Counter[str], can: frozenset[str] | None, now: datetime) -> dict[str, Any]:
    reports = {name: counted[name] for name in ("completed", "failed")}
    return {
        "worker": worker,
        "first_seen_at": now,
        "last_seen_at": now,
        "last_work_at": now if any(counted.values()) else None,
        "leased": counted["leased"],
        **reports,
        "can": None if can is None else sorted(can),
        "minute": minute_of(now),
        "minute_reports": sum(reports.values()),
        "previous_reports": 0,
    }
