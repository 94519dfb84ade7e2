"""The circuit of a connection: open, or closed for all its models or for one of them. One for all threads.

1. While it is closed, only a probe is called: one task that the service names, and whose success opens the circuit.
2. What happens here is reported to the service. What other workers find out comes with the answers to lease requests.
3. If the service has opened a circuit that this worker has closed, another worker has succeeded. Then this worker
   tries one task by itself, after waits that grow, and leases no task of the connection between them.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from app.worker.connections.call_failed import CallFailed, ErrorClass
from app.worker.connections.closure import Closure
from app.worker.task import ConnectionClosed, Task

log = structlog.get_logger(__name__)

PROBE_SECONDS = 60.0  # after this time, a probe that has not begun its call counts as lost
SETTLED_SECONDS = 0.5  # from the answer to a report until all processes of the service know it
DISPUTE_SECONDS = 60.0  # between two reports of failures while other workers succeed


@dataclass(frozen=True)
class Change:
    """What the service shall know: an outcome of `model`, or of the whole connection (None)."""

    outcome: str  # failed, slowed or succeeded
    model: str | None = None
    error_class: ErrorClass | None = None
    message: str | None = None
    retry_after_seconds: float | None = None


@dataclass
class Probe:
    """The lease whose task may be called while the circuit is closed."""

    lease_token: str
    since: float  # on the monotonic clock
    is_called: bool = False


class Circuit:
    """Any thread may call the methods. `report` is called for each change, with `changed` held."""

    def __init__(self, connection: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.connection = connection
        self.names = [connection]  # by which the service knows it
        self.report: Callable[[Change], None] = lambda _: None
        self.clock = clock
        self.changed = threading.Condition()
        self._closures: dict[str | None, Closure] = {}  # None: the whole connection
        self._probe: Probe | None = None
        self._unanswered = 0  # reports to the service
        self._answered_at = float("-inf")

    @property
    def is_offered(self) -> bool:
        """Whether to lease tasks of the connection. The service itself withholds them while it has it closed."""
        with self.changed:
            closure = self._closures.get(None)
            return closure is None or not closure.is_disputed or self._may_try([closure])

    def takes(self, task: Task, model: str) -> bool:
        """Whether a task that was leased just now may be started. It may become the probe."""
        if not self._closures:
            return True
        with self.changed:
            closures = self._closures_of(model)
            is_free = self._probe is None or not self._probe.is_called
            if closures and ((task.is_probe and is_free) or self._may_try(closures)):
                self._probe = Probe(task.lease_token, self.clock())
            return not closures or self.is_probe(task)

    def is_closed_for(self, task: Task, model: str) -> bool:
        """Whether a task that waits has to be released."""
        if not self._closures:  # the usual case needs no lock: a closing after this look would come too late anyway
            return False
        with self.changed:
            return bool(self._closures_of(model)) and not self.is_probe(task)

    def is_probe(self, task: Task) -> bool:
        """Whether a task is called while the circuit is closed."""
        probe = self._probe
        return probe is not None and probe.lease_token == task.lease_token

    def begin(self, task: Task, model: str) -> bool:
        """Note that a task is called; return whether it is the probe. Raises ConnectionClosed."""
        with self.changed:
            self.require_open(task, model)
            if self._probe is None or not self.is_probe(task):
                return False
            self._probe.is_called = True
            return True

    def require_open(self, task: Task, model: str) -> None:
        """Raise ConnectionClosed unless the task may be called."""
        if self.is_closed_for(task, model):
            raise self.closed_error(model)

    def closed_error(self, model: str) -> ConnectionClosed:
        """Make the exception that releases a task unharmed."""
        with self.changed:
            closures = self._closures_of(model)
            reason = closures[0].reason if closures else "another call has to show whether it works"
            return ConnectionClosed(self.connection, reason)

    def fail(self, failure: CallFailed, model: str, is_probe: bool = False) -> None:
        """Close the circuit, or keep it closed for longer if the probe failed. Any other failure comes too late."""
        with self.changed:
            closed = self._closures_of(model)
            if closed and not is_probe:
                return
            place = failure.model
            if closed:
                place = next(each for each, closure in self._closures.items() if closure is closed[0])
            closure = self._closures.setdefault(place, Closure())
            now = self.clock()
            seconds = closure.fail(failure, now)
            self._probe = None
            self._log_closed(place, next_try_seconds=seconds)
            if not closure.is_disputed or now - closure.reported_at >= DISPUTE_SECONDS:
                closure.reported_at = now
                self._tell(Change("failed", place, failure.error_class, failure.message, failure.wait_seconds))
            self.changed.notify_all()

    def closed_by(self, task: Task, model: str, error: ConnectionClosed) -> None:
        """Close the circuit because the handler of a task says so."""
        known = error.error_class in tuple(ErrorClass)
        error_class = ErrorClass(error.error_class) if known else ErrorClass.OUTAGE
        failure = CallFailed(
            error_class, error_class, error.message, wait_seconds=error.retry_after_seconds, model=error.model
        )
        with self.changed:
            self.fail(failure, model, self.is_probe(task))

    def ended(self, task: Task, model: str, has_worked: bool) -> None:
        """Note the end of a task. Of a probe without a verdict, `has_worked` says whether the circuit opens."""
        if not self.is_probe(task):
            return
        with self.changed:
            if self.is_probe(task):
                self._probe = None
                if has_worked:
                    self.open(model)

    def open(self, model: str) -> None:
        """Open the circuit for a model: the probe has succeeded."""
        with self.changed:
            self._probe = None
            for place in (None, model):
                if self._closures.pop(place, None):
                    log.info("connection_open", connection=self.connection, model=place)
                    self._tell(Change("succeeded", place))
            self.changed.notify_all()

    def slow_down(self, is_slowed: bool) -> None:
        """Report that 429s slow the calls, or that they do so no more."""
        with self.changed:
            self._tell(Change("slowed" if is_slowed else "succeeded"))

    def checked(self, failure: CallFailed | None) -> None:
        """Report what a call without a task has found. A task still has to show that the connection works."""
        with self.changed:
            if failure:
                self.fail(failure, "", is_probe=True)
            else:
                self._tell(Change("succeeded"))

    def service_says(self, closed: Mapping[str | None, Mapping[str, Any]], asked_at: float) -> None:
        """Take over which models (None: all) the service had closed when it answered a request of `asked_at`.

        The answer is ignored if it may be older than the service's knowledge of the last change here.
        """
        with self.changed:
            if not self._is_settled(asked_at):
                return
            for place, row in closed.items():
                if place not in self._closures:
                    self._closures[place] = Closure(str(row.get("class")), str(row.get("reason")))
                    self._log_closed(place, next_try_seconds=row.get("retry_after_seconds"))
                self._closures[place].is_disputed = False
            for place in [each for each in self._closures if each not in closed]:
                self._service_opened(place)
            self.changed.notify_all()

    def answered(self, changes: int = 1) -> None:
        """Note that the service has answered the report of so many changes."""
        with self.changed:
            self._unanswered -= changes
            self._answered_at = self.clock()

    def _is_settled(self, at: float) -> bool:
        """Whether the service knew the last change here at a time."""
        return not self._unanswered and at >= self._answered_at + SETTLED_SECONDS

    def _service_opened(self, place: str | None) -> None:
        closure = self._closures[place]
        if closure.failures == 0:
            del self._closures[place]
            log.info("connection_open", connection=self.connection, model=place)
        elif not closure.is_disputed:
            closure.is_disputed, closure.try_at = True, self.clock()

    def _closures_of(self, model: str) -> list[Closure]:
        return [self._closures[place] for place in (None, model) if place in self._closures]

    def _may_try(self, closures: list[Closure]) -> bool:
        """Whether this worker tries by itself now, and has no probe that could do so."""
        now = self.clock()
        probe = self._probe
        has_probe = probe is not None and (probe.is_called or now - probe.since < PROBE_SECONDS)
        return not has_probe and all(closure.is_disputed and now >= closure.try_at for closure in closures)

    def _tell(self, change: Change) -> None:
        self._unanswered += 1
        self.report(change)

    def _log_closed(self, place: str | None, next_try_seconds: Any) -> None:
        closure = self._closures[place]
        log.warning(
            "connection_closed",
            connection=self.connection,
            model=place,
            error_class=str(closure.error_class),
            reason=closure.reason,
            next_try_seconds=next_try_seconds,
        )
