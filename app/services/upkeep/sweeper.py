"""The sweeper: does the work that no request triggers. One process at a time sweeps; each step is safe to repeat.

The steps: apply queued requests of batches that are no longer locked, expire queued requests, end leases that ran out,
write the remaining slices of tasks, raise events and pauses that a crash left undone, pause and resume batches whose
connections are closed or open again, make the messages of webhooks and send them, take the steps of batches that are
made of a file, sample the progress, and delete what is too old: stored answers, sightings of workers, circuits,
sessions, files, revoked tokens, finished requests, messages, answers of old runs and, if the settings say so, archived
batches.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import Connection, Engine

from app.db import reading, transaction
from app.domain import transitions
from app.domain.facts import Facts
from app.errors import Refusal
from app.metrics import LEADER, LEASE_EXPIRATIONS
from app.services.access import idempotency, sessions, tokens
from app.services.batch import request_queue
from app.services.batch.batch_rows import BatchRecord, look_at_unsettled
from app.services.batch.batch_service import BatchService
from app.services.batch.breaker import is_unsettled
from app.services.connection import circuits
from app.services.file.purge import purge
from app.services.message import deliveries
from app.services.queue import expiry, worker_sightings
from app.services.queue.worker_sightings import Sightings
from app.services.upkeep import old_runs, samples, space
from app.services.upkeep.deletions import Deletions
from app.services.upkeep.file_batch_steps import FileBatchSteps
from app.services.upkeep.leadership import leadership
from app.services.upkeep.outages import Outages
from app.services.upkeep.pace import SHARE
from app.services.upkeep.purge import Purge
from app.services.webhook.courier import Courier

TICK_SECONDS = 0.25  # short enough to do within a second what is due
SLICES_SECONDS = 1.0  # the share of a pass that the slices of one batch may take
DELETE_SECONDS = 60.0
DELETIONS_SECONDS = TICK_SECONDS * SHARE  # the share of a pass that deletions take
# What is deleted when its term is over, each in a transaction of its own.
_TERMS: tuple[Callable[[Connection], object], ...] = (
    idempotency.forget_old,
    worker_sightings.forget_old,
    sessions.forget_old,
    circuits.forget_old,
    tokens.forget_old,
    request_queue.forget_old,
    deliveries.forget_old,
)

log = structlog.get_logger()


class Sweeper:
    """A thread that sweeps while this process is the leader."""

    def __init__(
        self,
        engine: Engine,
        batches: BatchService,
        outages: Outages,
        sightings: Sightings,
        courier: Courier,
        purge_after: timedelta | None = None,
    ) -> None:
        self._engine = engine
        self._batches = batches
        self._outages = outages
        self._sightings = sightings
        self._courier = courier
        self._purge = Purge(engine, batches)
        self._purge_after = purge_after  # None: no archived batch is purged
        self._deletions = Deletions(engine)
        self._has_space = False  # whether deletions of this process left space that may be given back to the disk
        self._leadership = leadership(engine)
        self._stopping = threading.Event()
        self._file_batches = FileBatchSteps(engine, batches, self._stopping)
        self._thread: threading.Thread | None = None
        self._deleted_at = 0.0
        self._sampled_at = 0.0

    def start(self) -> None:
        """Start the thread, if it is not running."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after its present step, and give up leadership."""
        self._stopping.set()
        self._courier.stop()
        if self._thread is not None:
            self._thread.join(timeout=2)
            self._thread = None
        self._file_batches.close()

    def sweep(self) -> None:
        """Do every step once. A step that fails is logged, and repeated in the next pass."""
        steps = (
            self._requests,
            self._leases,
            self._phases,
            self._outages.settle,
            self._courier.make_messages,
            self._send_messages,
            self._files,
            self._sample,
            self._delete_old,
            self._delete,
        )
        for step in steps:
            if not self._stopping.is_set():
                self._attempt(step)

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self._attempt(self._sightings.write_if_due)  # of this process, also where another one leads
            try:
                leads = self._leadership.held()
                LEADER.set(leads)
                if leads:
                    self.sweep()
                else:
                    self._courier.stop()
            except Exception:
                log.exception("sweeper_failed")
        self._attempt(self._sightings.write)
        LEADER.set(0)
        self._leadership.give_up()

    def _attempt(self, step: Callable[[], object]) -> None:
        """Do a step, or what it does for one batch: if that fails, the others are done all the same."""
        name, of = _named(step)
        try:
            step()
        except Refusal as refusal:  # busy, or the database is not available
            log.warning("sweep_step_refused", step=name, of=of, reason=refusal.detail)
        except Exception:
            log.exception("sweep_step_failed", step=name, of=of)

    def _requests(self) -> None:
        with reading(self._engine) as connection:
            waiting = request_queue.batches_with_requests(connection)
        for batch_id in waiting:
            self._attempt(partial(self._batches.apply_requests, batch_id))
        if waiting:
            with transaction(self._engine) as connection:
                request_queue.expire(connection)

    def _leases(self) -> None:
        ended: set[int] = set()
        for _ in range(20):
            with reading(self._engine) as connection:
                if not expiry.any_ran_out(connection):
                    break
            with transaction(self._engine) as connection:
                amount, failed = expiry.end_leases(connection)
            LEASE_EXPIRATIONS.inc(amount)
            ended |= failed
            if amount < expiry.SLICE:
                break
        for batch_id in ended:
            self._attempt(partial(self._batches.settle, batch_id))

    def _phases(self) -> None:
        with reading(self._engine) as connection:
            seen = look_at_unsettled(connection)
        for batch, facts in seen:
            self._attempt(partial(self._phase, batch, facts))

    def _phase(self, batch: BatchRecord, facts: Facts) -> None:
        if batch.state in transitions.BEGINS_RUN and not facts.all_tasks_written and not facts.input_is_unread:
            self._write_tasks(batch.id)
            return
        with reading(self._engine) as connection:
            unsettled = is_unsettled(connection, batch, facts)
        if unsettled:
            self._batches.settle(batch.id)

    def _write_tasks(self, batch_id: int) -> None:
        deadline = time.monotonic() + SLICES_SECONDS
        while time.monotonic() < deadline and not self._stopping.is_set() and self._batches.write_tasks(batch_id):
            pass

    def _send_messages(self) -> None:
        self._courier.send(inline=self._thread is None)

    def _files(self) -> None:
        self._file_batches.take(self._attempt, inline=self._thread is None)

    def _sample(self) -> None:
        if time.monotonic() - self._sampled_at > samples.SAMPLE_SECONDS:
            self._sampled_at = time.monotonic()
            for take in samples.due(self._engine):
                self._attempt(take)

    def _delete_old(self) -> None:
        if time.monotonic() - self._deleted_at > DELETE_SECONDS:
            self._deleted_at = time.monotonic()
            for forget in _TERMS:
                self._attempt(partial(self._forget, forget))
            self._attempt(self._begin_deletions)
            self._attempt(self._delete_files)
            self._attempt(self._empty_log)

    def _forget(self, forget: Callable[[Connection], object]) -> None:
        with transaction(self._engine) as connection:
            forget(connection)

    def _empty_log(self) -> None:
        space.empty_log(self._engine)

    def _begin_deletions(self) -> None:
        for batch_id in old_runs.due(self._engine):
            self._attempt(partial(self._begin_old_runs, batch_id))
        if self._purge_after is not None:
            for batch in self._purge.due(self._purge_after):
                self._attempt(partial(self._begin_purge, batch.id))

    def _delete_files(self) -> None:
        purge(self._engine)

    def _begin_old_runs(self, batch_id: int) -> None:
        old_runs.begin(self._batches, batch_id)

    def _begin_purge(self, batch_id: int) -> None:
        self._purge.begin(batch_id)

    def _delete(self) -> None:
        """Go on with the deletions that have begun, also those of a process that died, for a part of the pass."""
        spent = 0.0
        for done in self._deletions.slices():
            self._has_space = True
            spent += done.seconds
            if spent > DELETIONS_SECONDS or self._stopping.is_set():
                return
        while self._has_space and spent < DELETIONS_SECONDS and not self._stopping.is_set():
            begun = time.monotonic()
            self._has_space = space.can_give_back(self._engine) and space.give_back(self._engine) > 0
            spent += time.monotonic() - begun


def _named(step: Callable[[], object]) -> tuple[str, str | None]:
    """Name a step for the log, and what it is done for."""
    if isinstance(step, partial):
        of = step.args[0]
        return step.func.__name__, str(getattr(of, "id", getattr(of, "__module__", of)))
    return step.__name__, None
