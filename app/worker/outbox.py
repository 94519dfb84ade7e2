"""The reports that wait to be sent: they go in bulk, and stay here until the service has answered each of them.

1. Reports are sent when there are enough of them, or when the first has waited `wait_seconds`.
2. Without an answer the same bytes are sent again until there is one. The service recognises repeated reports.
3. A bulk request that is refused as a whole (413, 422) is halved until the refused report is found. A failure is
   reported in its place: otherwise its task would be leased and refused again and again.
4. A report that is answered 404 or 409 does not count. It is logged and removed here; the service has kept it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

import structlog

from app.worker.client import Client, Refused, Unauthorized, Unavailable
from app.worker.reports import Report, failed
from app.worker.retries import call_with_retries
from app.worker.task import Task, TaskFailed

log = structlog.get_logger(__name__)

MAX_REPORTS = 1_000  # that the API takes in one request
MAX_BYTES = 8 * 1024 * 1024  # of a bulk request; a single larger report is sent alone
# So many answers 500 in a row are taken for a fault of the content: of a bulk request, of a single report (a minute).
FAULTS_OF_BULK, FAULTS_OF_ONE = 5, 25


class Outbox:
    """`run` sends until all reports after `finish` are sent, or its deadline has passed.

    `on_settled` is called with the lease tokens of the reports that were answered. Any thread may call the methods.
    """

    def __init__(
        self,
        client: Client,
        on_settled: Callable[[list[str]], None],
        max_reports: int = 100,
        wait_seconds: float = 0.1,
    ) -> None:
        self._client = client
        self._on_settled = on_settled
        self._max_reports = min(max_reports, MAX_REPORTS)
        self._wait_seconds = wait_seconds
        self._reports: deque[Report] = deque()
        self._first_at = 0.0
        self._deadline = float("inf")  # on the monotonic clock
        self._finishing = False
        self._closed = False
        self._changed = threading.Condition()
        self.sent = 0  # reports that the service has answered, with any verdict

    def __len__(self) -> int:
        with self._changed:
            return len(self._reports)

    def put(self, report: Report) -> None:
        """Add a report. After the end it is dropped: its task has been released."""
        with self._changed:
            if self._closed:
                return
            if not self._reports:
                self._first_at = time.monotonic()
            self._reports.append(report)
            if len(self._reports) == 1 or len(self._reports) >= self._max_reports:
                self._changed.notify_all()

    def finish(self, deadline: float) -> None:
        """Send the remaining reports at once, at most until `deadline` on the monotonic clock."""
        with self._changed:
            self._finishing, self._deadline = True, deadline
            self._changed.notify_all()

    def run(self) -> None:
        """Send reports. Raises Unauthorized. Reports that were not sent stay here."""
        try:
            while bulk := self._next_bulk():
                self._deliver(bulk)
        except Unavailable:
            pass  # the deadline of finish() has passed
        finally:
            with self._changed:
                self._closed = True

    def _next_bulk(self) -> list[Report]:
        """Wait for enough reports and return them, without removing them. The list is empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._reports or self._finishing)
            send_at = self._first_at + self._wait_seconds
            self._changed.wait_for(
                lambda: len(self._reports) >= self._max_reports or self._finishing,
                max(send_at - time.monotonic(), 0.0),
            )
            bulk: list[Report] = []
            size = 0
            for report in self._reports:
                size += len(report.body)
                if len(bulk) == self._max_reports or (bulk and size > MAX_BYTES):
                    break
                bulk.append(report)
            self._closed = not bulk  # under the same lock, so that no report is added after the last look
            return bulk

    def _deliver(self, bulk: list[Report]) -> None:
        """Send the first reports of the queue. Raises Unavailable and Unauthorized."""
        try:
            verdicts = call_with_retries(partial(self._send, bulk), partial(self._should_retry, bulk))
        except Unauthorized:
            raise
        except Unavailable as error:
            if error.status != 500 or time.monotonic() > self._deadline:
                raise
            self._handle_refusal(bulk, str(error))
        except Refused as refusal:
            self._handle_refusal(bulk, str(refusal))
        else:
            for report, verdict in zip(bulk, verdicts, strict=True):
                _log_if_not_counted(report, verdict)
            self._settle(bulk)

    def _send(self, bulk: list[Report]) -> list[dict[str, object]]:
        verdicts = self._client.report(b'{"reports":[' + b",".join(report.body for report in bulk) + b"]}")
        if len(verdicts) != len(bulk):
            raise Unavailable(f"it answers {len(verdicts)} verdicts for {len(bulk)} reports")
        return verdicts

    def _should_retry(self, bulk: list[Report], error: Unavailable, attempts: int) -> bool:
        content_at_fault = error.status == 500 and attempts >= (FAULTS_OF_ONE if len(bulk) == 1 else FAULTS_OF_BULK)
        return time.monotonic() < self._deadline and not content_at_fault

    def _handle_refusal(self, bulk: list[Report], reason: str) -> None:
        """Find the refused report by halving, and report a failure in its place."""
        if len(bulk) > 1:
            half = len(bulk) // 2
            self._deliver(bulk[:half])
            self._deliver(bulk[half:])
            return
        refused = bulk[0]
        log.error("report_refused", task_id=refused.task_id, reason=reason, bytes=len(refused.body))
        replacement = _failure_of(refused, reason)
        if refused.body != replacement.body and refused.has_result:
            with self._changed:
                self._reports[0] = replacement
            self._deliver([replacement])
        else:
            self._settle(bulk)

    def _settle(self, bulk: list[Report]) -> None:
        """Remove the first reports of the queue: they are answered."""
        with self._changed:
            for _ in bulk:
                self._reports.popleft()
            self.sent += len(bulk)
        self._on_settled([report.lease_token for report in bulk])


def _log_if_not_counted(report: Report, verdict: dict[str, object]) -> None:
    if verdict.get("status") != 200:
        reason = verdict.get("reason")
        log.info("report_not_counted", task_id=report.task_id, status=verdict.get("status"), reason=reason)


def _failure_of(report: Report, reason: str) -> Report:
    task = Task(report.task_id, 0, 0, "", 0, {}, report.lease_token)
    message = f"The service refused this task's result ({len(report.body)} bytes): {reason}"
    return failed(task, TaskFailed("report_refused", message, retryable=False))
