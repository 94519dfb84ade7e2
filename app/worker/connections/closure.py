"""Why, and for how long, no call of a connection (or of one of its models) is made."""

from dataclasses import dataclass

from app.worker.connections.call_failed import CallFailed, ErrorClass

SHORT_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
LONG_WAITS = (30.0, 60.0, 120.0, 300.0, 600.0)  # where only a person can repair the cause
MOST_WAIT_SECONDS = 7 * 86_400.0
LASTING = (ErrorClass.ACCESS, ErrorClass.MODEL)


@dataclass
class Closure:
    """A closing. `failures` counts this worker's own failures in a row: 0 if another worker reported it.

    The service says when to try again, since it knows all workers. `is_disputed`: the service has opened the circuit
    because another worker succeeded. Then this worker tries by itself, from `try_at` on (on the monotonic clock).
    """

    error_class: str = ErrorClass.OUTAGE
    reason: str = ""
    failures: int = 0
    is_disputed: bool = False
    try_at: float = float("-inf")
    reported_at: float = float("-inf")

    def fail(self, failure: CallFailed, now: float) -> float:
        """Count a failure of this worker; return the seconds to wait, which grow."""
        self.error_class, self.reason = failure.error_class, failure.message
        self.failures += 1
        waits = LONG_WAITS if failure.error_class in LASTING else SHORT_WAITS
        own = waits[min(self.failures, len(waits)) - 1]
        seconds = min(max(own, failure.wait_seconds or 0.0), MOST_WAIT_SECONDS)
        self.try_at = now + seconds
        return seconds
