"""The reports that are not answered yet: a queue in memory and, where there is a spool, on disk. No HTTP here.

A report whose own sending fails again and again is set aside: it leaves the queue, and is due again from time to
time. Reports go to the spool when the service cannot be reached, when they are set aside, at the end, and when there
are too many bytes of them in memory.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass

import structlog

from app.worker.reporting.reports import Report
from app.worker.reporting.spool import Spool, SpooledReport

log = structlog.get_logger(__name__)

MAX_BULK_BYTES = 8 * 1024 * 1024  # of a bulk request; a single larger report is sent alone
MAX_MEMORY_BYTES = 64 * 1024 * 1024  # of all reports in memory
FIRST_ASIDE_SECONDS, MAX_ASIDE_SECONDS = 30.0, 300.0  # between two attempts of a report that was set aside

AnyReport = Report | SpooledReport


@dataclass
class Aside:
    """A report that was set aside. `due_at` is on the monotonic clock."""

    report: AnyReport
    due_at: float
    wait_seconds: float


class UnsentReports:
    """Any thread may call the methods. Only the thread that sends takes reports away."""

    def __init__(self, spool: Spool | None, max_reports: int, wait_seconds: float) -> None:
        self._spool = spool
        self._spool_fails = False
        self._max_reports = max_reports  # in a bulk
        self._wait_seconds = wait_seconds
        self._queue: deque[AnyReport] = deque(spool.take_over() if spool else ())
        self._aside: list[Aside] = []
        self._memory_bytes = 0
        self._first_at = 0.0
        self._finishing = False
        self.closed = False  # the end has come and the queue is empty
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return len(self._queue) + len(self._aside)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for the answers of further tasks."""
        return self._memory_bytes >= MAX_MEMORY_BYTES or (self._spool_fails and self._memory_bytes > 0)

    def put(self, report: Report) -> None:
        """Add a report. After the end it is dropped: its task has been released."""
        with self._changed:
            if self._memory_bytes + report.size <= MAX_MEMORY_BYTES:
                self._append(report)
                return
        kept = self._spooled(report)
        with self._changed:
            if self._append(kept):
                return
        self._forget(kept)

    def finish(self) -> None:
        """Let `next_bulk` wait no longer, and close when the queue is empty."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def close(self) -> None:
        """Take no further reports."""
        with self._changed:
            self.closed = True

    def next_bulk(self) -> list[AnyReport]:
        """Wait for enough reports and return them, without removing them.

        The list is empty when a report that was set aside is due, and at the end.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._finishing, self._seconds_until_aside())
            send_at = self._first_at + self._wait_seconds
            self._changed.wait_for(
                lambda: not self._queue or len(self._queue) >= self._max_reports or self._finishing,
                max(send_at - time.monotonic(), 0.0),
            )
            bulk: list[AnyReport] = []
            size = 0
            for report in self._queue:
                size += report.size
                if len(bulk) == self._max_reports or (bulk and size > MAX_BULK_BYTES):
                    break
                bulk.append(report)
            self.closed = self._finishing and not bulk  # under the same lock: no report is added after the last look
            return bulk

    def settle(self, amount: int) -> None:
        """Remove the first reports of the queue: they are answered."""
        with self._changed:
            settled = [self._queue.popleft() for _ in range(amount)]
            self._memory_bytes -= sum(map(_memory_of, settled))
            self._spool_fails &= self._memory_bytes > 0  # with nothing left to write, the next write is a new attempt
        for report in settled:
            self._forget(report)

    def replace_first(self, replacement: Report) -> None:
        """Put another report in the place of the first one."""
        with self._changed:
            replaced, self._queue[0] = self._queue[0], replacement
            self._memory_bytes += _memory_of(replacement) - _memory_of(replaced)
        self._forget(replaced)

    def set_aside_first(self) -> None:
        """Take the first report out of the queue, to be sent later. It goes to the spool."""
        with self._changed:
            due_at = time.monotonic() + FIRST_ASIDE_SECONDS
            self._aside.append(Aside(self._queue.popleft(), due_at, FIRST_ASIDE_SECONDS))
        self.spool()

    def due_aside(self) -> Aside | None:
        """Find a report that was set aside and is due now."""
        with self._changed:
            now = time.monotonic()
            return next((aside for aside in self._aside if aside.due_at <= now), None)

    def all_aside(self) -> list[Aside]:
        """List the reports that are set aside."""
        with self._changed:
            return list(self._aside)

    def postpone(self, aside: Aside) -> None:
        """Try a report that was set aside again after a longer interval."""
        with self._changed:
            aside.wait_seconds = min(aside.wait_seconds * 2, MAX_ASIDE_SECONDS)
            aside.due_at = time.monotonic() + aside.wait_seconds

    def requeue(self, aside: Aside) -> None:
        """Put a report that was set aside into the queue again."""
        with self._changed:
            self._aside.remove(aside)
            self._queue.append(aside.report)

    def settle_aside(self, aside: Aside) -> None:
        """Remove a report that was set aside: it is answered. The others are due at once: the fault may be over."""
        with self._changed:
            self._aside.remove(aside)
            self._memory_bytes -= _memory_of(aside.report)
            for other in self._aside:
                other.due_at = 0.0
        self._forget(aside.report)

    def spool(self) -> None:
        """Move all reports from memory to the spool, as far as there is a spool and room in it."""
        with self._changed:
            reports = [*self._queue, *(aside.report for aside in self._aside)]
        for report in reports:
            spooled = self._spooled(report)
            if spooled is not report and not self._exchange(report, spooled):
                self._forget(spooled)  # it was answered meanwhile

    def in_memory(self) -> int:
        """Count the reports that are not on disk."""
        with self._changed:
            reports = [*self._queue, *(aside.report for aside in self._aside)]
        return sum(isinstance(report, Report) for report in reports)

    def _append(self, report: AnyReport) -> bool:
        if self.closed:
            return False
        if not self._queue:
            self._first_at = time.monotonic()
        self._queue.append(report)
        self._memory_bytes += _memory_of(report)
        if len(self._queue) == 1 or len(self._queue) >= self._max_reports:
            self._changed.notify_all()
        return True

    def _seconds_until_aside(self) -> float | None:
        due_at = min((aside.due_at for aside in self._aside), default=None)
        return None if due_at is None else max(due_at - time.monotonic(), 0.0)

    def _exchange(self, report: AnyReport, spooled: AnyReport) -> bool:
        with self._changed:
            place = next((index for index, each in enumerate(self._queue) if each is report), None)
            aside = next((each for each in self._aside if each.report is report), None)
            if place is not None:
                self._queue[place] = spooled
            elif aside is not None:
                aside.report = spooled
            else:
                return False
            self._memory_bytes -= _memory_of(report)
            return True

    def _spooled(self, report: AnyReport) -> AnyReport:
        """Write a report to the spool. Return it unchanged where there is no spool or no room in it."""
        if self._spool is None or isinstance(report, SpooledReport):
            return report
        try:
            spooled = self._spool.write(report)
        except OSError as error:
            if not self._spool_fails:
                log.error("spool_failed", reason=str(error), consequence="Answers stay in memory; no task is leased.")
            self._spool_fails = True
            return report
        self._spool_fails = False
        return spooled

    def _forget(self, report: AnyReport) -> None:
        if self._spool is not None and isinstance(report, SpooledReport):
            self._spool.remove(report)


def _memory_of(report: AnyReport) -> int:
    return report.size if isinstance(report, Report) else 0
