"""Runs the held tasks on the executor and puts their reports into the outbox. Replaces an executor that breaks."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import replace
from functools import partial

import structlog

from app.tracing.tracer import Span, tracer
from app.worker.handlers import Handlers, perform
from app.worker.held_leases import HeldLeases, Lease
from app.worker.reporting.outbox import Outbox
from app.worker.reporting.reports import Report, of_exception
from app.worker.task import ConnectionClosed, Handler, Task, TaskFailed

log = structlog.get_logger(__name__)

REPLACE_SECONDS = 1.0  # between two attempts to make a new executor


class TaskRunner:
    """`start_tasks` may be called from any thread. Making the runner makes the first executor."""

    def __init__(
        self,
        held: HeldLeases,
        outbox: Outbox,
        handlers: Handlers,
        make_executor: Callable[[], Executor],
        release: Callable[[list[Lease]], None],
        start_thread: Callable[[str, Callable[[], None]], object],
        stopping: threading.Event,
    ) -> None:
        self._held = held
        self._outbox = outbox
        self._handlers = handlers
        self._make_executor = make_executor
        self._release = release
        self._start_thread = start_thread
        self._stopping = stopping
        self._executor: Executor | None = make_executor()  # None: the last one broke, and there is no new one yet
        self._replaced_at = 0.0
        self._replacing = threading.Lock()
        self._in_this_thread = threading.local()
        self._closed = False

    @property
    def has_executor(self) -> bool:
        return self._executor is not None

    def start_tasks(self) -> None:
        """Start tasks while there is capacity. A call from inside this loop returns: the loop continues anyway."""
        if getattr(self._in_this_thread, "starting", False):
            return  # a task that ended at once calls this again
        self._in_this_thread.starting = True
        try:
            while (executor := self._executor) and (lease := self._held.start_next()):
                self._start(lease, executor)
        finally:
            self._in_this_thread.starting = False

    def close(self) -> None:
        """Shut the executor down without waiting for its tasks, and ignore their results: they were released."""
        self._closed = True
        if executor := self._executor:
            executor.shutdown(wait=False, cancel_futures=True)

    def _start(self, lease: Lease, executor: Executor) -> None:
        if self._handlers.circuits.is_closed_for(lease.task):
            self._release([lease])
            return
        try:
            handler = self._handlers.find(lease.task)
        except TaskFailed as failure:
            self._report(lease, of_exception(lease.task, failure))
            return
        span = _span_of(lease.task)
        task = replace(lease.task, traceparent=span.traceparent) if span else lease.task
        try:
            future = executor.submit(perform, handler, task, self._handlers.images)
        except Exception as error:
            if isinstance(error, BrokenExecutor):
                self._replace(executor, error)
            elif executor is self._executor:
                self._report(lease, of_exception(lease.task, error))
                return
            # Any error of an executor that was replaced (for example, RuntimeError) is not a failure of this task.
            if not self._held.put_back(lease):
                self._release([lease])
        else:
            future.add_done_callback(partial(self._finish, lease, handler, span))

    def _finish(
        self, lease: Lease, handler: Handler, span: Span | None, future: "Future[Report | ConnectionClosed]"
    ) -> None:
        if self._closed:
            return
        outcome = _outcome_of(lease.task, future)
        closed = outcome if isinstance(outcome, ConnectionClosed) else None
        if span:
            _end(span, outcome)
        self._handlers.circuits.ended(lease.task, handler, closed)
        if isinstance(outcome, ConnectionClosed):
            self._release([lease])
        else:
            self._report(lease, outcome)
        self.start_tasks()

    def _report(self, lease: Lease, report: Report) -> None:
        if lease.task.stopped and not report.has_result:
            self._held.remove([lease.task.lease_token])  # the service no longer needs the failure of a stopped task
            return
        self._outbox.put(report)
        self._held.mark_answered(lease)

    def _replace(self, broken: Executor, error: BaseException) -> None:
        """Start no task until there is a new executor. Of several threads that see the break, the first acts."""
        with self._replacing:
            if self._executor is broken:
                self._executor = None
                log.warning("executor_lost", reason=f"{type(error).__name__}: {error}")
                self._start_thread("executor", partial(self._make_new, broken))

    def _make_new(self, broken: Executor) -> None:
        """Make a new executor, however long that takes. Until then, release the waiting tasks for other workers."""
        broken.shutdown(wait=False, cancel_futures=True)
        if time.monotonic() - self._replaced_at < REPLACE_SECONDS:
            self._stopping.wait(REPLACE_SECONDS)
        while not self._stopping.is_set():
            try:
                executor = self._make_executor()
            except Exception as error:
                log.warning("executor_unavailable", reason=f"{type(error).__name__}: {error}")
                self._release(self._held.take_waiting())
                self._stopping.wait(REPLACE_SECONDS)
            else:
                self._executor, self._replaced_at = executor, time.monotonic()
                log.warning("executor_replaced")
                self.start_tasks()
                return


def _outcome_of(task: Task, future: "Future[Report | ConnectionClosed]") -> Report | ConnectionClosed:
    """Read what `perform` returned. It raises nothing: else its process died, or a handler raised SystemExit."""
    try:
        return future.result()
    except CancelledError:
        reason = "BrokenExecutor: it was cancelled"
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
    return of_exception(task, TaskFailed("worker_failed", f"The task's executor failed: {reason}"))


def _span_of(task: Task) -> Span | None:
    """Begin the span of a task; None if the trace of its batch is not recorded."""
    return tracer().task(
        f"task {task.kind}",
        task.traceparent,
        {
            "interlock.batch_id": task.batch_id,
            "interlock.task_id": task.id,
            "interlock.run": task.run,
            "interlock.attempt": task.attempt,
        },
    )


def _end(span: Span, outcome: Report | ConnectionClosed) -> None:
    if isinstance(outcome, ConnectionClosed):
        span.end({"interlock.outcome": "released"}, error=f"closed_{outcome.error_class}")
    elif outcome.has_result:
        span.end({"interlock.outcome": "completed"})
    else:
        span.end({"interlock.outcome": "failed"}, error=outcome.code)
