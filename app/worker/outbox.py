"""Reports on their way: collected, sent in bulk, and kept until the service has answered for each of them.

1. A report goes out when enough of them are together or the first has waited `wait_seconds`.
2. No answer: the same bytes again, until there is one. The service recognises what it has already taken.
3. A bulk that is refused as a whole (413, 422) is halved until the one report is found that is not liked; a failure
   that says so goes in its place, so that its task does not come back for ever.
4. A report that is answered 404 or 409 counts no more: it is told in the log and dropped. The service has kept it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

import structlog

from app.worker.client import Away, Client, Refused, Unwelcome
from app.worker.patience import patiently
from app.worker.reports import Report, failed
from app.worker.task import Task, TaskFailed

log = structlog.get_logger(__name__)

MOST_REPORTS = 1_000  # that the API takes in one call
MOST_BYTES = 8 * 1024 * 1024  # of a bulk; one larger report goes alone
# Answers 500 in a row before they are taken to be the fault of the bulk, or of one report alone: after a minute.
FAULTS_OF_BULK, FAULTS_OF_ONE = 5, 25


class Outbox:
    """`run` sends until `finish` was called and all is sent, or its deadline has passed."""

    def __init__(
        self,
        client: Client,
        on_settled: Callable[[list[str]], None],
        most_reports: int = 100,
        wait_seconds: float = 0.1,
    ) -> None:
        self._client = client
        self._on_settled = on_settled
        self._most_reports = min(most_reports, MOST_REPORTS)
        self._wait_seconds = wait_seconds
        self._reports: deque[Report] = deque()
        self._first_at = 0.0
        self._deadline = float("inf")  # on the monotonic clock
        self._finishing = False
        self._closed = False
        self._changed = threading.Condition()
        self.sent = 0  # reports that the service has answered, whatever it said

    def __len__(self) -> int:
        with self._changed:
            return len(self._reports)

    def put(self, report: Report) -> None:
        """Take a report; one that comes after the end was handed back with its task, and is dropped."""
        with self._changed:
            if self._closed:
                return
            if not self._reports:
                self._first_at = time.monotonic()
            self._reports.append(report)
            if len(self._reports) == 1 or len(self._reports) >= self._most_reports:
                self._changed.notify_all()

    def finish(self, deadline: float) -> None:
        """Send what is left, at most until `deadline` on the monotonic clock."""
        with self._changed:
            self._finishing, self._deadline = True, deadline
            self._changed.notify_all()

    def run(self) -> None:
        """Send. Raises Unwelcome; the reports that were not sent stay and are counted by len()."""
        try:
            while bulk := self._next_bulk():
                self._deliver(bulk)
        except Away:
            pass  # finish() has set a deadline, and it has passed
        finally:
            with self._changed:
                self._closed = True

    def _next_bulk(self) -> list[Report]:
        """Wait for enough reports; look at them without taking them out. Empty when all is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._reports or self._finishing)
            ripe_at = self._first_at + self._wait_seconds
            self._changed.wait_for(
                lambda: len(self._reports) >= self._most_reports or self._finishing,
                max(ripe_at - time.monotonic(), 0.0),
            )
            bulk: list[Report] = []
            size = 0
            for report in self._reports:
                size += len(report.body)
                if len(bulk) == self._most_reports or (bulk and size > MOST_BYTES):
                    break
                bulk.append(report)
            self._closed = not bulk  # at once, so that nothing can slip in behind
            return bulk

    def _deliver(self, bulk: list[Report]) -> None:
        """Send a bulk that stands at the head of the line. Raises Away, Unwelcome."""
        try:
            verdicts = patiently(partial(self._send, bulk), partial(self._still_wanted, bulk))
        except Unwelcome:
            raise
        except Away as away:
            if away.status != 500 or time.monotonic() > self._deadline:
                raise
            self._refused(bulk, str(away))
        except Refused as refusal:
            self._refused(bulk, str(refusal))
        else:
            for report, verdict in zip(bulk, verdicts, strict=True):
                self._judge(report, verdict)
            self._settle(bulk)

    def _send(self, bulk: list[Report]) -> list[dict[str, object]]:
        verdicts = self._client.report(b'{"reports":[' + b",".join(report.body for report in bulk) + b"]}")
        if len(verdicts) != len(bulk):
            raise Away(f"it answers {len(verdicts)} verdicts for {len(bulk)} reports")
        return verdicts

    def _still_wanted(self, bulk: list[Report], away: Away, attempts: int) -> bool:
        at_fault = away.status == 500 and attempts >= (FAULTS_OF_ONE if len(bulk) == 1 else FAULTS_OF_BULK)
        return time.monotonic() < self._deadline and not at_fault

    def _refused(self, bulk: list[Report], reason: str) -> None:
        """Find the report that is not liked, and send in its place that it was not."""
        if len(bulk) > 1:
            half = len(bulk) // 2
            self._deliver(bulk[:half])
            self._deliver(bulk[half:])
            return
        refused = bulk[0]
        log.error("report_refused", task_id=refused.task_id, reason=reason, bytes=len(refused.body))
        instead = _refusal_of(refused, reason)
        if refused.body != instead.body and refused.answered:
            with self._changed:
                self._reports[0] = instead
            self._deliver([instead])
        else:
            self._settle(bulk)

    def _judge(self, report: Report, verdict: dict[str, object]) -> None:
        if verdict.get("status") != 200:
            reason = verdict.get("reason")
            log.info("report_not_counted", task_id=report.task_id, status=verdict.get("status"), reason=reason)

    def _settle(self, bulk: list[Report]) -> None:
        """Let go of the reports at the head of the line: they are answered."""
        with self._changed:
            for _ in bulk:
                self._reports.popleft()
            self.sent += len(bulk)
        self._on_settled([report.lease_token for report in bulk])


def _refusal_of(report: Report, reason: str) -> Report:
    task = Task(report.task_id, 0, 0, "", 0, {}, report.lease_token)
    message = f"The service did not take this task's result ({len(report.body)} bytes): {reason}"
    return failed(task, TaskFailed("report_refused", message, retryable=False))
