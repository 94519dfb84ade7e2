"""One worker process: leases tasks, runs them and reports their results until it is stopped.

1. One thread leases tasks in bulk while there is capacity (lease_loop.py).
2. The executor runs tasks. The thread that finishes a task puts its report into the outbox and starts the next task
   (task_runner.py).
3. One thread sends the reports (outbox.py), another renews leases (heartbeat.py), another releases them (releases.py).
4. One thread reports which connections work (circuit_reports.py). A task of a closed connection is released.
5. `stop` ends the worker within `grace_seconds`: it leases nothing more, releases the tasks that have not started,
   waits for the running tasks, sends their reports, and releases the tasks that still run.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor

import structlog

from app.worker.handlers import Handlers
from app.worker.heartbeat import Heartbeat
from app.worker.held_leases import HeldLeases, Lease
from app.worker.lease_loop import LeaseLoop
from app.worker.options import Options
from app.worker.reporting.circuit_reports import CircuitReports
from app.worker.reporting.outbox import Outbox
from app.worker.reporting.releases import LAST_SECONDS, Releases
from app.worker.reporting.spool import Spool
from app.worker.service.client import Client
from app.worker.service.service_answers import Refused, Unauthorized
from app.worker.task_runner import TaskRunner

log = structlog.get_logger(__name__)

MAX_UNSENT_REPORTS = 2_000  # while the service is unavailable; with more, the worker leases nothing
SHARE_FOR_REPORTS = 0.2  # of the grace time, kept for the last reports
OK, FAILED, UNAUTHORIZED = 0, 1, 2  # exit codes


class Worker:
    """`run` works and returns the exit code. `stop` may be called from any thread and from a signal handler."""

    def __init__(
        self,
        client: Client,
        handlers: Handlers,
        options: Options,
        make_executor: Callable[[], Executor],
        spool: Spool | None = None,
    ) -> None:
        self._client = client
        self._options = options
        self._stopping = threading.Event()
        self._stopped = threading.Event()  # the worker holds no lease any more
        self._exit_code, self._stop_reason = OK, "stop was called"
        self.abandoned = 0  # tasks that still ran at the end of the grace time
        waiting = options.concurrency * options.prefetch
        self.held = HeldLeases(options.concurrency, waiting, MAX_UNSENT_REPORTS + options.concurrency + waiting)
        self.outbox = Outbox(client, self.held.remove, options.report_max, options.report_ms / 1000, spool)
        self._releases = Releases(client, self.held.remove)
        self._handlers = handlers
        self._circuit_reports = CircuitReports(client, handlers.circuits.all(), self._release_of_closed)
        self._runner = TaskRunner(
            self.held, self.outbox, handlers, make_executor, self._release, self._start_thread, self._stopping
        )
        self._lease_loop = LeaseLoop(
            client, self.held, handlers, self._runner, self.outbox, options, self._release, self._start_thread,
            self._stopping,
        )  # fmt: skip
        self._heartbeat = Heartbeat(client, self.held, self._runner.start_tasks, options.lease_seconds)
        client.outage.describe = self.held.counts

    def stop(self, reason: str = "stop was called", exit_code: int = OK) -> None:
        """Start the end of `run`. The reason and the exit code of the first call count."""
        if not self._stopping.is_set():
            self._stop_reason, self._exit_code = reason, exit_code
            self._stopping.set()

    def run(self) -> int:
        """Work until `stop`. Return 0, 1 if reports were lost or the worker failed, 2 if its token is not valid."""
        log.info("worker_started", url=self._client.address.url, worker=self._client.worker, **vars(self._options))
        leasing = self._start_thread("lease", self._lease_loop.run)
        sending = self._start_thread("report", self.outbox.run)
        releasing = self._start_thread("release", self._releases.run)
        self._start_thread("heartbeat", lambda: self._heartbeat.run(self._stopped))
        self._start_thread("connections", lambda: self._circuit_reports.run(self._stopping))
        self._stopping.wait()
        log.info("worker_stopping", reason=self._stop_reason, **self.held.counts())
        grace_seconds = 0.0 if self._exit_code == UNAUTHORIZED else self._options.grace_seconds
        deadline = time.monotonic() + grace_seconds
        self._release(self.held.close())
        self._abandon(self.held.wait_until_idle(deadline - grace_seconds * SHARE_FOR_REPORTS))
        self.outbox.finish(deadline)
        sending.join(max(deadline - time.monotonic(), 0.0))
        leasing.join(max(deadline - time.monotonic(), 0.0))  # this thread releases what it is granted from now on
        self._releases.finish()
        releasing.join(LAST_SECONDS)
        self._stopped.set()
        self._runner.close()
        return self._final_exit_code()

    def _abandon(self, leases: list[Lease]) -> None:
        """Release the tasks that still run. A report that comes in time is sent: the service keeps its result."""
        self.abandoned = len(leases)
        for lease in leases:
            lease.task.stopping.set()
        self._release(leases)

    def _release(self, leases: list[Lease]) -> None:
        """Release leases. If that fails they expire by themselves, and that costs each task an attempt."""
        if leases and self._exit_code != UNAUTHORIZED:
            self.held.mark_released(leases)
            self._releases.put(leases)

    def _release_of_closed(self) -> None:
        self._release(self.held.take_waiting(self._handlers.circuits.is_closed_for))

    def _final_exit_code(self) -> int:
        lost, spooled = self.outbox.close()
        if spooled:
            log.warning("reports_spooled", reports=spooled, reason="They are sent by the next start with this spool.")
        if lost:
            log.error("reports_lost", reports=lost, reason="They could not be sent before the grace time ended.")
        log.info("worker_stopped", reason=self._stop_reason, reported=self.outbox.sent)
        return max(self._exit_code, FAILED if lost else OK)

    def _start_thread(self, name: str, target: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=self._stop_if_it_fails, args=(target,), name=name, daemon=True)
        thread.start()
        return thread

    def _stop_if_it_fails(self, target: Callable[[], object]) -> None:
        """Run a thread's function. The worker needs all its threads: if one fails, the worker stops."""
        url = self._client.address.url
        try:
            target()
        except Unauthorized as refusal:
            self.stop(
                f"The service at {url} does not accept this token ({refusal}). "
                "Give the worker a valid token of role worker.",
                UNAUTHORIZED,
            )
        except Refused as refusal:
            self.stop(f"The service at {url} refuses a request of this worker: {refusal}.", FAILED)
        except Exception as error:
            log.exception("thread_failed")
            self.stop(f"The worker itself failed: {error!r}.", FAILED)
