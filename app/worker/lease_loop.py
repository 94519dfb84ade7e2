"""Leases tasks in bulk while the worker has capacity for them."""

import threading
import time
from collections.abc import Callable
from typing import Any

from app.worker.handlers import Handlers
from app.worker.held_leases import HeldLeases, Lease
from app.worker.options import Options
from app.worker.reporting.outbox import Outbox
from app.worker.service.client import Client
from app.worker.service.retries import call_with_retries
from app.worker.service.service_answers import NOT_THE_SERVICE, Unavailable
from app.worker.task import Task
from app.worker.task_runner import TaskRunner

MAX_LEASES = 1_000  # that the API grants in one request
PAUSE_SECONDS = 0.5  # between two lease requests when there is no task


class LeaseLoop:
    """`run` leases until `stopping` is set. Raises Refused and Unauthorized."""

    def __init__(
        self,
        client: Client,
        held: HeldLeases,
        handlers: Handlers,
        runner: TaskRunner,
        outbox: Outbox,
        options: Options,
        release: Callable[[list[Lease]], None],
        start_thread: Callable[[str, Callable[[], None]], object],
        stopping: threading.Event,
    ) -> None:
        self._client = client
        self._held = held
        self._handlers = handlers
        self._runner = runner
        self._outbox = outbox
        self._options = options
        self._release = release
        self._start_thread = start_thread
        self._stopping = stopping
        # At the end, a lease request that takes longer than the grace time would be granted to a dead process.
        self._wait_seconds = min(options.wait_seconds, options.grace_seconds * 0.8)

    def run(self) -> None:
        while not self._stopping.is_set():
            if not self._runner.has_executor or self._outbox.is_full:
                self._stopping.wait(PAUSE_SECONDS)
                continue
            if not self._held.wait_for_capacity(PAUSE_SECONDS):
                continue
            began_at = time.monotonic()
            try:
                leases = call_with_retries(self._lease, lambda *_: not self._stopping.is_set())
            except Unavailable:
                return
            taken = [lease for lease in leases if self._handlers.circuits.takes(lease.task)]
            returned = [*set(leases).difference(taken), *self._held.add(taken)]
            self._release(returned)
            self._runner.start_tasks()
            if len(returned) == len(leases):
                self._stopping.wait(max(PAUSE_SECONDS - (time.monotonic() - began_at), 0.0))

    def _lease(self) -> list[Lease]:
        amount = min(max(self._held.capacity(), 1), MAX_LEASES)
        asked_at, options = time.monotonic(), self._options
        granted = self._client.lease(
            amount,
            self._wait_seconds,
            options.lease_seconds,
            options.batch_id,
            self._handlers.can(),
        )
        now = time.monotonic()  # the service granted the leases at the end of its wait, so they begin now
        try:
            tasks = [_task_of(row) for row in granted.rows]
            self._take_over(granted.answer, asked_at)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unavailable(NOT_THE_SERVICE) from error
        return [Lease(task, seconds, now) for task, seconds in zip(tasks, granted.lease_seconds, strict=True)]

    def _take_over(self, answer: dict[str, Any], asked_at: float) -> None:
        """Take over which circuits the service has closed, and check those that it wants to be checked."""
        circuits = self._handlers.circuits
        circuits.service_says(answer.get("closed") or [], asked_at)
        circuits.check(answer.get("probe") or [], self._start_thread)
        self._release(self._held.take_waiting(circuits.is_closed_for))


def _task_of(row: dict[str, Any]) -> Task:
    return Task(
        id=str(row["id"]),
        batch_id=int(row["batch_id"]),
        run=int(row["run"]),
        kind=str(row["kind"]),
        attempt=int(row["attempt"]),
        payload=dict(row["payload"]),
        lease_token=str(row["lease_token"]),
        is_probe=bool(row.get("is_probe")),
        traceparent=str(row["traceparent"]) if row.get("traceparent") else None,
    )
