"""What workers report of their tasks: each report is judged by itself, and counts, is a repetition, or is kept.

Changes tasks alone. Whether a phase has ended is BatchService's to decide, after this is committed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection

from app.domain.documents import leaves_out
from app.domain.lease_tokens import RELEASED, Standing, judge, token_attempt
from app.domain.leases import FINISHED, Outcome, TaskKind, TaskStatus, backoff_seconds
from app.domain.transitions import BatchState
from app.domain.usage import CallUsage
from app.errors import Invalid, NotFound, Refusal, ReportRefused
from app.services.task import found_files, run_tasks, task_rows
from app.services.task.task_counts import CountChanges
from app.services.task.task_rows import HeldTask, TaskWrite
from app.services.task.usage_counts import UsageChanges


@dataclass(frozen=True)
class Report:
    """One report of contract 5: `complete`, `fail`, or an item of `report`."""

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
        """Make a report of a body. Raises Invalid naming the missing field."""
        wanted = "result" if outcome is Outcome.COMPLETED else "error"
        for name, kind in (("lease_token", str), (wanted, dict)):
            if not isinstance(body.get(name), kind):
                raise Invalid(f"The report has no valid {name}.", errors={name: ["is missing or of a wrong type"]})
        known = {name: body[name] for name in cls.__dataclass_fields__ if name in body}
        return cls(**{**known, "task_id": task_id, "outcome": outcome})

    @property
    def usage(self) -> CallUsage:
        return CallUsage.of(self.result if self.outcome is Outcome.COMPLETED else self.error)


@dataclass(frozen=True)
class Verdict:
    """What became of a report. `refusal` is None when it counts or repeats one that did."""

    task_id: str
    status: TaskStatus | None = None
    batch_id: int | None = None
    batch_state: BatchState | None = None
    settles: bool = False  # whether its batch has to be looked at: the phase may have ended, or a limit be crossed
    refusal: Refusal | None = None
    worker: str | None = None  # whose lease it was, where the report counts


class _Taking:
    """One transaction's reports, judged in order and written together."""

    def __init__(self, held: dict[int, HeldTask], folder_tasks: set[int], now: datetime) -> None:
        self.held = held
        self.folder_tasks = folder_tasks
        self.now = now
        self.writes: dict[int, TaskWrite] = {}
        self.late: list[tuple[HeldTask, Report]] = []
        self.staged: dict[int, dict[str, Any]] = {}  # the result of each staging task that was completed
        self.folders: list[tuple[HeldTask, list[dict[str, Any]]]] = []  # and the files they hold
        self.changes = CountChanges()
        self.usage = UsageChanges()

    def take(self, report: Report) -> Verdict:
        task = self.held.get(task_number(report.task_id))
        if task is None:
            return Verdict(report.task_id, refusal=NotFound("task", report.task_id))
        judgement = judge(task.tokens, report.lease_token, report.outcome, task.objection)
        if judgement.standing is Standing.REPEATED:
            return Verdict(report.task_id, judgement.answer, task.batch_id, task.batch_state)
        if judgement.standing is not Standing.CURRENT:
            if judgement.standing is Standing.LATE:
                self.late.append((task, report))
            refusal = ReportRefused(
                _sentence(judgement.reason),
                task_status=task.status,
                late_result_kept=judgement.standing is Standing.LATE,
            )
            return Verdict(report.task_id, task.status, task.batch_id, task.batch_state, task.limited, refusal)
        self._accept(task, report)
        settles = task.limited or task.status in FINISHED
        return Verdict(report.task_id, task.status, task.batch_id, task.batch_state, settles, worker=task.leased_by)

    def _accept(self, task: HeldTask, report: Report) -> None:
        result, error = self._answer(task, report)
        read_status, read_token = task.status, task.lease_token
        wait: timedelta | None = None
        if result is not None:
            task.status = TaskStatus.COMPLETED
        elif (
            report.outcome is Outcome.FAILED
            and report.retryable
            and not report.critical
            and task.attempt < task.max_attempts
        ):
            task.status = TaskStatus.QUEUED
            seconds = report.retry_after_seconds
            wait = timedelta(seconds=backoff_seconds(task.attempt) if seconds is None else seconds)
        else:
            task.status = TaskStatus.FAILED
        task.lease_outcome, task.lease_answer = report.outcome, task.status
        critical = report.critical and task.status is TaskStatus.FAILED
        run = (task.batch_id, task.run, task.kind)
        self.changes.move(run, read_status, task.status, critical)
        if result is not None and report.outcome is Outcome.FAILED:
            self.changes.note(run, skipped=1)
        usage = self._spend(task, report)
        self.writes[task.id] = TaskWrite(
            id=task.id,
            read_token=read_token,
            read_status=read_status,
            status=task.status,
            attempt=task.attempt,
            critical=critical,
            available_at=self.now + wait if wait is not None else None,
            lease_outcome=report.outcome,
            lease_answer=task.status,
            result=_json(result),
            error=_json(error),
            finished_at=self.now if task.status in FINISHED else None,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_nanos=usage.cost_nanos,
            latency_ms=usage.latency_ms,
        )
        if task.kind == TaskKind.STAGE and task.id not in self.folder_tasks and result and _has_text(result):
            self.staged[task.id] = result

    def _answer(self, task: HeldTask, report: Report) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Tell what is kept with the task: a result, or an error.

        A document that cannot be read may be left out: that is a result. A folder whose files cannot be told is none.
        """
        if report.outcome is Outcome.FAILED:
            code, reason = (report.error or {}).get("code"), (report.error or {}).get("message")
            for_good = task.kind == TaskKind.STAGE and not report.retryable and not report.critical
            if for_good and leaves_out(task.on_unreadable, code):
                return {"skipped": True, "code": code, "reason": reason}, None
            return None, report.error
        if task.id in self.folder_tasks:
            try:
                self.folders.append((task, found_files.files_of(report.result or {})))
            except found_files.BadFolder as error:
                return None, {"code": "bad_result", "message": str(error)}
        return report.result or {}, None

    def _spend(self, task: HeldTask, report: Report) -> CallUsage:
        """Add what the call used to the sums of the task's run; return it."""
        used = report.usage
        self.changes.spend((task.batch_id, task.run, task.kind), used)
        if task.kind == TaskKind.ANALYZE:
            asked = (task.batch_id, task.run, task.prompt_number, task.model_number)
            self.usage.add(asked, used, report.outcome is Outcome.FAILED)
        return used

    def _keep_late_results(self, connection: Connection) -> None:
        """Keep what came too late. It is paid for all the same: each lease's first word adds to the run's sums."""
        if not self.late:
            return
        heard = task_rows.tokens_of_late_results(connection, (task.id for task, _ in self.late))
        rows = []
        for task, report in self.late:
            use, of = task.tokens.use_of(report.lease_token), (task.id, report.lease_token)
            first = use is not None and use[0] in ("", RELEASED) and of not in heard
            rows.append(self._late_row(task, report, self._spend(task, report) if first else CallUsage()))
            heard.add(of)
        task_rows.keep_late_results(connection, rows)

    def _late_row(self, task: HeldTask, report: Report, usage: CallUsage) -> dict[str, Any]:
        return {
            "task_id": task.id,
            "lease_token": report.lease_token,
            "attempt": token_attempt(report.lease_token),
            "outcome": report.outcome,
            "result": report.result,
            "error": report.error,
            **usage.amounts,
            "at": self.now,
        }

    def write(self, connection: Connection) -> None:
        for task, files in self.folders:
            self._add_files(connection, task, files)
        task_rows.write(connection, list(self.writes.values()))
        self._keep_late_results(connection)  # first: they may answer what is staged here
        if self.staged:
            run_tasks.write_analysis_tasks(connection, self.staged, self.changes, self.now)
        self.changes.write(connection, self.now)
        self.usage.write(connection)

    def _add_files(self, connection: Connection, task: HeldTask, files: list[dict[str, Any]]) -> None:
        added, duplicates = found_files.add(connection, task, files, self.now)
        run = (task.batch_id, task.run, task.kind)
        self.changes.add(run, TaskStatus.QUEUED, added)
        self.changes.note(run, found=added)
        result = _json({"documents": files, "duplicates": duplicates})
        self.writes[task.id] = replace(self.writes[task.id], result=result)


def take(connection: Connection, taken: Sequence[Report]) -> list[Verdict]:
    """Judge the reports in order and write what counts, all in the caller's transaction."""
    held, now = task_rows.hold(connection, [number for report in taken if (number := task_number(report.task_id))])
    staged = [held[number] for report in taken if (number := task_number(report.task_id)) in held and _lists(report)]
    taking = _Taking(held, found_files.folders_among(connection, staged), now)
    verdicts = [taking.take(report) for report in taken]
    taking.write(connection)
    return verdicts


def task_number(task_id: str) -> int:
    """Read the number of a task's id; 0, which no task has, for anything else."""
    plain = task_id.isascii() and task_id.isdigit() and len(task_id) < 19 and not task_id.startswith("0")
    return int(task_id) if plain else 0


def _lists(report: Report) -> bool:
    return isinstance(report.result, dict) and "documents" in report.result


def _has_text(result: dict[str, Any] | None) -> bool:
    text = (result or {}).get("text")
    return isinstance(text, str) and bool(text.strip())


def _json(value: dict[str, Any] | None) -> bytes | None:
    return None if value is None else orjson.dumps(value)


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:] + "."
