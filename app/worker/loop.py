"""The loop: lease, work, report, until told to stop.

1. One thread leases in bulk whenever the desk has room, and waits at the service while there is nothing to do.
2. The executor works; whichever thread finishes a task puts its report into the outbox and begins the next task.
3. One thread sends the outbox, one renews leases.
4. `stop` ends it within `grace_seconds`: lease nothing more, hand back what has not begun, wait for what runs,
   report it, hand back the rest.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from app.worker.client import Away, Client, Refused, Unwelcome
from app.worker.handlers import Handlers, perform
from app.worker.heartbeat import Heartbeat
from app.worker.held_leases import Desk, Lease
from app.worker.outbox import Outbox
from app.worker.patience import patiently
from app.worker.reports import Report, of_exception
from app.worker.task import Task, TaskFailed

log = structlog.get_logger(__name__)

MOST_LEASES = 1_000  # that the API grants at once
ANSWERS_KEPT = 2_000  # while the service is away; beyond that nothing is leased
PAUSE_SECONDS = 0.5  # from one request for a lease to the next, where there was nothing to do
REPLACE_SECONDS = 1.0  # from one attempt to make another executor to the next
RELEASE_SECONDS = 2.0  # for a service that hangs: what is not handed back in time runs out by itself
SHARE_FOR_REPORTS = 0.2  # of the grace time, kept for the last reports
OK, LOST, UNWELCOME = 0, 1, 2  # exit codes


@dataclass(frozen=True)
class Options:
    """How much the worker takes on, and how it goes about it."""

    concurrency: int = 8
    prefetch: int = 4  # tasks held ready for each one that runs
    lease_seconds: int | None = None  # None: as each batch says
    wait_seconds: float = 2.0
    batch_id: int | None = None
    report_max: int = 100
    report_ms: int = 100
    grace_seconds: float = 8.0


class Worker:
    """One worker process. `run` returns its exit code; `stop` may be called from anywhere, a signal handler too."""

    def __init__(
        self, client: Client, handlers: Handlers, options: Options, make_executor: Callable[[], Executor]
    ) -> None:
        self._client = client
        self._handlers = handlers
        self._options = options
        self._make_executor = make_executor
        self._executor: Executor | None = make_executor()  # None while a lost one has no successor
        waiting = options.concurrency * options.prefetch
        self.desk = Desk(options.concurrency, waiting, ANSWERS_KEPT + options.concurrency + waiting)
        self.outbox = Outbox(client, self.desk.forget, options.report_max, options.report_ms / 1000)
        self._heartbeat = Heartbeat(client, self.desk, self._pump, options.lease_seconds)
        self._stopping = threading.Event()
        self._ended = threading.Event()  # nothing is held any more
        self._pumping = threading.local()
        self._losing = threading.Lock()
        self._replaced_at = 0.0
        self._exit_code, self._stop_reason = OK, "asked to"
        self.abandoned = 0  # tasks that still ran when the grace time was over
        # A lease that is still being waited for at the end would go to nobody.
        self._wait_seconds = min(options.wait_seconds, options.grace_seconds * 0.8)
        client.outage.describe = self.desk.counts

    def stop(self, reason: str = "asked to", exit_code: int = OK) -> None:
        """Begin to end; the first call says why."""
        if not self._stopping.is_set():
            self._stop_reason, self._exit_code = reason, exit_code
            self._stopping.set()

    def run(self) -> int:
        """Work until `stop`. Returns 0, 1 if answers could not be delivered, 2 if the service does not want us."""
        options = self._options
        log.info("worker_started", url=self._client.address.url, worker=self._client.worker, **vars(options))
        leasing = self._thread("lease", self._lease_forever)
        sending = self._thread("report", self.outbox.run)
        self._thread("heartbeat", lambda: self._heartbeat.run(self._ended))
        self._stopping.wait()
        log.info("worker_stopping", reason=self._stop_reason, **self.desk.counts())
        grace_seconds = 0.0 if self._exit_code == UNWELCOME else options.grace_seconds
        deadline = time.monotonic() + grace_seconds
        self._hand_back(self.desk.close())
        self._abandon(self.desk.wait_until_idle(deadline - grace_seconds * SHARE_FOR_REPORTS))
        self.outbox.finish(deadline)
        sending.join(max(deadline - time.monotonic(), 0.0))
        leasing.join(max(deadline - time.monotonic(), 0.0))  # what it is granted this late it hands back itself
        self._ended.set()
        if executor := self._executor:
            executor.shutdown(wait=False, cancel_futures=True)
        return self._farewell()

    def _abandon(self, leases: list[Lease]) -> None:
        """Hand back what still runs. An answer that comes in time after all is sent: the service keeps it."""
        self.abandoned = len(leases)
        for lease in leases:
            lease.task.stopping.set()
        self._hand_back(leases)

    def _farewell(self) -> int:
        if lost := len(self.outbox):
            log.error("answers_lost", answers=lost, sentence="They could not be reported before the grace time ended.")
        log.info("worker_stopped", reason=self._stop_reason, reported=self.outbox.sent)
        return max(self._exit_code, LOST if lost else OK)

    def _thread(self, name: str, target: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(target,), name=name, daemon=True)
        thread.start()
        return thread

    def _guarded(self, target: Callable[[], object]) -> None:
        """No thread ends unseen: without one of them the worker is none."""
        try:
            target()
        except Unwelcome as refusal:
            self.stop(
                f"The service at {self._client.address.url} does not accept this token ({refusal}). "
                "Give the worker a valid token of role worker.",
                UNWELCOME,
            )
        except Refused as refusal:
            self.stop(f"The service at {self._client.address.url} does not take what this worker asks: {refusal}.", 1)
        except Exception as error:
            log.exception("thread_failed")
            self.stop(f"a fault of the worker itself: {error!r}", 1)

    # --- lease

    def _lease_forever(self) -> None:
        while not self._stopping.is_set():
            if self._executor is None:
                self._stopping.wait(PAUSE_SECONDS)
                continue
            if not self.desk.wait_for_room(PAUSE_SECONDS):
                continue
            try:
                leases, waited_seconds = patiently(self._lease, lambda *_: not self._stopping.is_set())
            except Away:
                return
            self._hand_back(self.desk.add(leases))
            self._pump()
            if not leases:
                self._stopping.wait(max(PAUSE_SECONDS - waited_seconds, 0.0))

    def _lease(self) -> tuple[list[Lease], float]:
        options, asked_at = self._options, time.monotonic()
        room = min(max(self.desk.room(), 1), MOST_LEASES)
        granted = self._client.lease(room, self._wait_seconds, options.lease_seconds, options.batch_id)
        now = time.monotonic()
        leases = [  # counted from the answer, since the grant came at the end of the waiting
            Lease(_task(row), seconds, now) for row, seconds in zip(granted.rows, granted.lease_seconds, strict=True)
        ]
        return leases, now - asked_at

    def _hand_back(self, leases: list[Lease]) -> None:
        """Release leases; if that fails they run out by themselves, at the price of an attempt."""
        if not leases or self._exit_code == UNWELCOME:
            return
        try:
            self._client.release([lease.ref for lease in leases], RELEASE_SECONDS)
            log.info("tasks_handed_back", tasks=len(leases))
        except (Away, Refused) as error:
            log.warning("tasks_not_handed_back", tasks=len(leases), reason=str(error))
        self.desk.forget(lease.task.lease_token for lease in leases)

    # --- work

    def _pump(self) -> None:
        """Begin tasks while there is room. A task that ends at once calls this again: then the first call goes on."""
        if getattr(self._pumping, "busy", False):
            return
        self._pumping.busy = True
        try:
            while (executor := self._executor) and (lease := self.desk.begin()):
                self._begin(lease, executor)
        finally:
            self._pumping.busy = False

    def _begin(self, lease: Lease, executor: Executor) -> None:
        try:
            handler = self._handlers.find(lease.task)
        except TaskFailed as failure:
            self._settle(lease, of_exception(lease.task, failure))
            return
        try:
            future = executor.submit(perform, handler, lease.task)
        except Exception as error:
            if isinstance(error, BrokenExecutor):
                self._lose(executor, error)
            elif executor is self._executor:
                self._settle(lease, of_exception(lease.task, error))
                return
            # What a lost one says after its shutdown (a RuntimeError, for one) is not about this task.
            if not self.desk.not_begun(lease):
                self._hand_back([lease])
        else:
            future.add_done_callback(partial(self._done, lease))

    def _lose(self, executor: Executor, error: BaseException) -> None:
        """Begin and lease nothing more until there is another executor; the first who sees it does it for all."""
        with self._losing:
            if self._executor is executor:
                self._executor = None
                log.warning("executor_lost", reason=f"{type(error).__name__}: {error}")
                self._thread("executor", partial(self._replace, executor))

    def _replace(self, lost: Executor) -> None:
        """Make another executor, however long that takes. While there is none, others may have what waits here."""
        lost.shutdown(wait=False, cancel_futures=True)
        if time.monotonic() - self._replaced_at < REPLACE_SECONDS:
            self._stopping.wait(REPLACE_SECONDS)
        while not self._stopping.is_set():
            try:
                executor = self._make_executor()
            except Exception as error:
                log.warning("executor_away", reason=f"{type(error).__name__}: {error}")
                self._hand_back(self.desk.give_out())
                self._stopping.wait(REPLACE_SECONDS)
            else:
                self._executor, self._replaced_at = executor, time.monotonic()
                log.warning("executor_replaced")
                self._pump()
                return

    def _done(self, lease: Lease, future: "Future[Report]") -> None:
        if self._ended.is_set():
            return  # it has been handed back
        error = BrokenExecutor("it was cancelled") if future.cancelled() else future.exception()
        if error:
            # perform raises nothing: its process died, its machine is lost, or somebody raised SystemExit.
            error = TaskFailed("worker_failed", f"The task's executor failed: {type(error).__name__}: {error}")
        report = of_exception(lease.task, error) if error else future.result()
        self._settle(lease, report)
        self._pump()

    def _settle(self, lease: Lease, report: Report) -> None:
        if lease.task.stopped and not report.answered:
            self.desk.forget([lease.task.lease_token])  # nobody waits for a failure of work that was to stop
            return
        self.outbox.put(report)
        self.desk.answered(lease)


def _task(row: dict[str, Any]) -> Task:
    return Task(
        id=str(row["id"]),
        batch_id=int(row["batch_id"]),
        run=int(row["run"]),
        kind=str(row["kind"]),
        attempt=int(row["attempt"]),
        payload=dict(row["payload"]),
        lease_token=str(row["lease_token"]),
    )
