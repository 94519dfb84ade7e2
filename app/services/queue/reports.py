"""What workers report of their tasks. Each report is judged by itself: it counts, is a repetition, or is too late.

Writes only tasks. BatchService decides after the commit whether a phase of the batch has ended.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.domain.answer.server_answers import OnTruncated, is_truncated
from app.domain.document.parts import Part, SplitRule, TooManyParts
from app.domain.documents import leaves_out
from app.domain.ids import task_number
from app.domain.lease_tokens import Judgement, Standing, judge, token_attempt
from app.domain.leases import FINISHED, RELEASED, Outcome, TaskKind, TaskStatus
from app.domain.task_endings import LeaseEvent
from app.domain.transitions import BatchState
from app.domain.usage import CallUsage
from app.errors import Invalid, NotFound, Refusal, ReportRefused
from app.services.task import found_files, late_results, run_tasks, task_rows
from app.services.task.endings import Endings, Kept
from app.services.task.task_rows import HeldTask

CUT_OFF = "The answer was cut off at the limit of its tokens, and the batch takes no such answer (on_truncated: fail)."


class Report(NamedTuple):
    """One report of a worker: the body of `complete` or `fail`, or an item of `report`."""

    task_id: str
    lease_token: str
    outcome: Outcome
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    retryable: bool = True
    critical: bool = False
    retry_after_seconds: float | None = None

    @classmethod
    def of(cls, task_id: str, outcome: Outcome, body: Mapping[str, Any]) -> "Report":
        """Make a report from a request's body. Raises Invalid with the name of the missing field."""
        wanted = "result" if outcome is Outcome.COMPLETED else "error"
        for name, kind in (("lease_token", str), (wanted, dict)):
            if not isinstance(body.get(name), kind):
                raise Invalid(f"The report has no valid {name}.", errors={name: ["is missing or of a wrong type"]})
        known = {name: body[name] for name in cls._fields if name in body}
        return cls(**{**known, "task_id": task_id, "outcome": outcome})

    @property
    def usage(self) -> CallUsage:
        """What the call used, as far as the worker reports it."""
        if self.outcome is Outcome.COMPLETED:
            return CallUsage.of(self.result, is_paid=True)
        return CallUsage.of(self.error)

    @property
    def truncated(self) -> bool:
        """Whether the result is an answer that was cut off."""
        return self.outcome is Outcome.COMPLETED and is_truncated(self.result or {})

    @property
    def document_cut(self) -> bool:
        """Whether the result is an answer to a document of which only the beginning was sent."""
        return self.outcome is Outcome.COMPLETED and isinstance((self.result or {}).get("document_cut"), dict)


class Verdict(NamedTuple):
    """How a report was judged. `refusal` is None if it counts, or repeats one that counted."""

    task_id: str
    status: TaskStatus | None = None
    batch_id: int | None = None
    batch_state: BatchState | None = None
    settles: bool = False  # the batch has to be looked at: its phase may have ended, or a limit may be crossed
    limited: bool = False  # whether the batch has a limit that a report may cross
    refusal: Refusal | None = None
    worker: str | None = None  # that held the lease, if the report counts


class _ReportTransaction:
    """The reports of one transaction: judged in order, written together."""

    def __init__(self, folder_tasks: set[int], split_rules: dict[int, SplitRule], endings: Endings) -> None:
        self._folder_tasks = folder_tasks
        self._split_rules = split_rules
        self._endings = endings
        self._late: list[tuple[HeldTask, Report]] = []
        self._staged: dict[int, dict[str, Any]] = {}  # the results of staging tasks, from which analysis tasks are made
        self._parts: dict[int, list[Part]] = {}  # of those that are split
        # With the files found in each, and what the worker says about those that it left out.
        self._folders: list[tuple[HeldTask, list[dict[str, Any]], dict[str, Any]]] = []

    def judge(self, report: Report, task: HeldTask | None) -> Verdict:
        if task is None:
            return Verdict(report.task_id, refusal=NotFound("task", report.task_id))
        judgement = judge(task, report.lease_token, report.outcome, task.objection)
        if judgement.standing is Standing.REPEATED:
            return Verdict(report.task_id, judgement.answer, task.batch_id, task.batch_state)
        if judgement.standing is not Standing.CURRENT:
            return self._refuse(task, report, judgement)
        self._accept(task, report)
        settles = task.limited or task.status in FINISHED
        about = (report.task_id, task.status, task.batch_id, task.batch_state)
        return Verdict(*about, settles, task.limited, None, task.leased_by)

    def _refuse(self, task: HeldTask, report: Report, judgement: Judgement) -> Verdict:
        is_late = judgement.standing is Standing.LATE
        if is_late:
            self._late.append((task, report))
        is_kept = is_late and not task.erased
        refusal = ReportRefused(_sentence(judgement.reason), task_status=task.status, late_result_kept=is_kept)
        about = (report.task_id, task.status, task.batch_id, task.batch_state)
        return Verdict(*about, settles=task.limited, limited=task.limited, refusal=refusal)

    def _accept(self, task: HeldTask, report: Report) -> None:
        event, result, error = self._ending(task, report)
        is_answer = event is LeaseEvent.COMPLETED and task.kind == TaskKind.ANALYZE
        usage = _usage(task, report)
        kept = Kept(usage, result, error, is_answer and report.truncated, is_answer and report.document_cut)
        self._endings.end(task, event, kept, report.retry_after_seconds)
        self._endings.spend(task, usage, report.outcome is Outcome.FAILED)
        if (
            task.kind == TaskKind.STAGE
            and task.id not in self._folder_tasks
            and isinstance((result or {}).get("text"), str)
        ):
            self._staged[task.id] = result or {}

    def _ending(
        self, task: HeldTask, report: Report
    ) -> tuple[LeaseEvent, dict[str, Any] | None, dict[str, Any] | None]:
        """Find how the report ends the lease, and the result or the error that is kept with the task."""
        if report.outcome is Outcome.FAILED:
            return _failure(task, report)
        if task.id in self._folder_tasks:
            try:
                result = report.result or {}
                about = {"metadata": result["metadata"]} if isinstance(result.get("metadata"), dict) else {}
                self._folders.append((task, found_files.files_of(result), about))
            except found_files.BadFolder as error:
                return LeaseEvent.BAD_RESULT, None, {"code": "bad_result", "message": str(error)}
        if (rule := self._split_rules.get(task.id)) and isinstance(text := (report.result or {}).get("text"), str):
            try:
                parts = rule.parts_of(text)
            except TooManyParts as error:
                failure = {"code": "too_large", "message": str(error)}
                return _failure(task, report._replace(error=failure, retryable=False, critical=False))
            if len(parts) > 1:
                self._parts[task.id] = parts
                return LeaseEvent.COMPLETED, {**(report.result or {}), "parts": [[*part] for part in parts]}, None
        if task.on_truncated == OnTruncated.FAIL and _is_cut_off(task, report):
            return LeaseEvent.BAD_RESULT, None, {"code": "truncated", "message": CUT_OFF}
        return LeaseEvent.COMPLETED, report.result or {}, None

    def write(self, connection: Connection) -> None:
        counts, now = self._endings.counts, self._endings.now
        for task, files, about in self._folders:
            duplicates = found_files.add(connection, task, files, counts, now)
            self._endings.keep(task, result={"documents": files, "duplicates": duplicates, **about})
        self._keep_late_results(connection)  # before analysis tasks are made: it may be the answer to one of them
        if self._staged:
            run_tasks.write_analysis_tasks(connection, self._staged, self._parts, counts, now)
        self._endings.write(connection)

    def _keep_late_results(self, connection: Connection) -> None:
        """Keep what came too late. It was paid for: the first report of each lease adds to the run's usage."""
        if not self._late:
            return
        known = late_results.tokens_of(connection, (task.id for task, _ in self._late))
        rows = []
        for task, report in self._late:
            use, lease = task.use_of(report.lease_token), (task.id, report.lease_token)
            is_first = use is not None and use[0] in ("", RELEASED) and lease not in known
            usage = _usage(task, report) if is_first else CallUsage()
            if is_first:
                self._endings.spend(task, usage, report.outcome is Outcome.FAILED)
            content = {"result": None, "error": None} if task.erased else {}  # only what the call used is kept
            rows.append({**_late_row(report, usage), **content, "task_id": task.id, "at": self._endings.now})
            known.add(lease)
        late_results.keep(connection, rows)


def receive(connection: Connection, received: Sequence[Report]) -> list[Verdict]:
    """Judge the reports in order and write what counts, all in the caller's transaction."""
    numbers = [task_number(report.task_id) for report in received]
    held, now = task_rows.hold(connection, filter(None, numbers))
    reported = [(report, held.get(number)) for report, number in zip(received, numbers, strict=True)]
    staged = [(task, report.result or {}) for report, task in reported if task and task.kind == TaskKind.STAGE]
    folders = found_files.folders_among(connection, [task for task, result in staged if "documents" in result])
    rules = run_tasks.split_rules(
        connection, [task.id for task, result in staged if isinstance(result.get("text"), str)]
    )
    reports = _ReportTransaction(folders, rules, Endings(now))
    verdicts = [reports.judge(report, task) for report, task in reported]
    reports.write(connection)
    return verdicts


def _usage(task: HeldTask, report: Report) -> CallUsage:
    """Find what the call used. Staging calls no model: no price is missing."""
    usage = report.usage
    return usage._replace(unpriced=0) if usage.unpriced and task.kind == TaskKind.STAGE else usage


def _failure(task: HeldTask, report: Report) -> tuple[LeaseEvent, dict[str, Any] | None, dict[str, Any] | None]:
    """Find which failure it is. A document that no worker can read may be left out: that is a result."""
    if report.critical:
        return LeaseEvent.FAILED_CRITICALLY, None, report.error
    if report.retryable:
        return LeaseEvent.FAILED, None, report.error
    code, reason = (report.error or {}).get("code"), (report.error or {}).get("message")
    if task.kind == TaskKind.STAGE and leaves_out(task.on_unreadable, code):
        return LeaseEvent.LEFT_OUT, {"skipped": True, "code": code, "reason": reason}, None
    return LeaseEvent.FAILED_FOR_GOOD, None, report.error


def _is_cut_off(task: HeldTask, report: Report) -> bool:
    return task.kind == TaskKind.ANALYZE and report.truncated


def _late_row(report: Report, usage: CallUsage) -> dict[str, Any]:
    return {
        "lease_token": report.lease_token,
        "attempt": token_attempt(report.lease_token),
        "outcome": report.outcome,
        "result": report.result,
        "error": report.error,
        "truncated": report.truncated,
        "document_cut": report.document_cut,
        **usage.amounts,
    }


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:] + "."
