"""Sends the reports: in bulk, and until the service has answered each of them.

1. Reports are sent when there are enough of them, or when the first has waited `wait_seconds`.
2. Without an answer of the service the same bytes are sent again until there is one. The service recognises repeated
   reports. Meanwhile the reports are kept in the spool, if the worker has one.
3. If the service answers other calls and this one fails again and again, the content may be the cause: the bulk is
   halved until one report is left. It is set aside and tried at longer intervals, and never dropped.
4. A bulk request that the service refuses as a whole (413, 422) is halved, too. For the refused report a failure is
   reported: otherwise its task would be leased and refused again and again.
5. A report that is answered 404 or 409 does not count. It is logged and removed here; the service has kept it.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from app.worker.reporting.reports import Report, failed
from app.worker.reporting.spool import Spool
from app.worker.reporting.unsent_reports import AnyReport, Aside, UnsentReports
from app.worker.service.client import Client
from app.worker.service.retries import call_with_retries
from app.worker.service.service_answers import Refused, Unauthorized, Unavailable
from app.worker.task import Task, TaskFailed

log = structlog.get_logger(__name__)

MAX_REPORTS = 1_000  # that the API takes in one request
FAULTS = 5  # so many failures in a row may be the fault of the content
SPOOL_AFTER = 2  # failed attempts; one alone happens often and is soon over
REFUSED_CONTENT = {400, 413, 415, 422}  # any other refusal of the service is not about the reports


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
        spool: Spool | None = None,
    ) -> None:
        self._client = client
        self._on_settled = on_settled
        self._spool = spool
        self._unsent = UnsentReports(spool, min(max_reports, MAX_REPORTS), wait_seconds)
        self._deadline = float("inf")  # on the monotonic clock
        self.sent = 0  # reports that the service has answered, with any verdict

    def __len__(self) -> int:
        return len(self._unsent)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for the answers of further tasks."""
        return self._unsent.is_full

    def put(self, report: Report) -> None:
        """Add a report. After the end it is dropped: its task has been released."""
        self._unsent.put(report)

    def finish(self, deadline: float) -> None:
        """Send the remaining reports at once, at most until `deadline` on the monotonic clock."""
        self._deadline = deadline
        self._unsent.finish()

    def close(self) -> tuple[int, int]:
        """Move unsent reports to the spool; count those that are lost, and those that the next start sends."""
        self._unsent.spool()
        lost = self._unsent.in_memory()
        if self._spool:
            self._spool.close()
        return lost, len(self._unsent) - lost

    def run(self) -> None:
        """Send reports. Raises Unauthorized. Reports that were not sent stay here."""
        try:
            while not self._unsent.closed:
                if bulk := self._unsent.next_bulk():
                    self._deliver(bulk)
                if aside := self._unsent.due_aside():
                    self._retry(aside)
            for aside in self._unsent.all_aside():
                if time.monotonic() < self._deadline:
                    self._retry(aside)
        except Unavailable:
            pass  # the deadline of finish() has passed
        finally:
            self._unsent.close()

    def _deliver(self, bulk: list[AnyReport]) -> None:
        """Send the first reports of the queue. Raises Unavailable and Unauthorized."""
        should_retry = partial(self._should_retry, self._client.answered)
        try:
            verdicts = call_with_retries(partial(self._send, bulk), should_retry)
        except Unauthorized:
            raise
        except (Unavailable, Refused) as failure:
            if isinstance(failure, Unavailable) and time.monotonic() >= self._deadline:
                raise
            if len(bulk) > 1:
                half = len(bulk) // 2
                self._deliver(bulk[:half])
                self._deliver(bulk[half:])
            elif isinstance(failure, Unavailable):
                self._set_aside(bulk[0], str(failure))
            else:
                self._replace(bulk[0], str(failure))
        else:
            self._log_uncounted(bulk, verdicts)
            self._settle(bulk)

    def _send(self, bulk: list[AnyReport]) -> list[dict[str, Any]]:
        try:
            body = b'{"reports":[' + b",".join(report.body for report in bulk) + b"]}"
        except OSError as error:
            raise Unavailable(f"a report cannot be read from the spool: {error}") from error
        try:
            return self._client.report(body, [report.task_id for report in bulk])
        except Refused as refusal:
            if isinstance(refusal, Unauthorized) or refusal.status in REFUSED_CONTENT:
                raise
            raise Unavailable(str(refusal), refusal.status, is_busy=True) from refusal

    def _should_retry(self, answered: int, error: Unavailable, attempts: int) -> bool:
        """Decide on a further attempt. `answered` counts the answered calls before the first attempt."""
        if attempts >= SPOOL_AFTER:
            self._unsent.spool()
        others_are_answered = self._client.answered > answered
        is_content_at_fault = not error.is_busy and attempts >= FAULTS and others_are_answered
        return time.monotonic() < self._deadline and not is_content_at_fault

    def _set_aside(self, report: AnyReport, reason: str) -> None:
        log.error("report_set_aside", task_id=report.task_id, reason=reason, bytes=report.size)
        self._unsent.set_aside_first()

    def _retry(self, aside: Aside) -> None:
        """Send a report that was set aside, once."""
        report = aside.report
        try:
            verdicts = self._send([report])
        except Unauthorized:
            raise
        except Unavailable as failure:
            self._unsent.postpone(aside)
            seconds = aside.wait_seconds
            log.error("report_set_aside", task_id=report.task_id, reason=str(failure), next_try_seconds=seconds)
        except Refused:
            self._unsent.requeue(aside)  # it is replaced like any report that is refused
        else:
            self._log_uncounted([report], verdicts)
            self._unsent.settle_aside(aside)
            self._count_settled([report])

    def _replace(self, refused: AnyReport, reason: str) -> None:
        """Report a failure in the place of a refused result. A refused failure is dropped."""
        log.error("report_refused", task_id=refused.task_id, reason=reason, bytes=refused.size)
        if refused.has_result:
            replacement = _failure_of(refused, reason)
            self._unsent.replace_first(replacement)
            self._deliver([replacement])
        else:
            self._settle([refused])

    def _settle(self, bulk: list[AnyReport]) -> None:
        """Remove the first reports of the queue: they are answered."""
        self._unsent.settle(len(bulk))
        self._count_settled(bulk)

    def _count_settled(self, reports: list[AnyReport]) -> None:
        self.sent += len(reports)
        self._on_settled([report.lease_token for report in reports])

    def _log_uncounted(self, bulk: list[AnyReport], verdicts: list[dict[str, Any]]) -> None:
        for report, verdict in zip(bulk, verdicts, strict=True):
            if verdict.get("status") != 200:
                reason = verdict.get("reason")
                log.info("report_not_counted", task_id=report.task_id, status=verdict.get("status"), reason=reason)


def _failure_of(report: AnyReport, reason: str) -> Report:
    task = Task(report.task_id, 0, 0, "", 0, {}, report.lease_token)
    message = f"The service refused this task's result ({report.size} bytes): {reason}"
    return failed(task, TaskFailed("report_refused", message, retryable=False))
