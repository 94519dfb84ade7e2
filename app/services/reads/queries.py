"""Reads for lists and pages: as of the last commit, waiting for nobody. No rules.

Every list is paged by a key that only grows; `after` is the last key of the page before.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, Select, and_, case, func, select, tuple_

from app import db
from app.db import reading
from app.domain.ids import task_number
from app.domain.leases import TaskKind
from app.domain.request_status import RequestStatus
from app.domain.times import rfc3339
from app.domain.transitions import BatchState
from app.errors import NotFound
from app.models import (
    AuditRow,
    Batch,
    Document,
    LateResult,
    Model,
    Prompt,
    ReadyTask,
    StateChangeRequest,
    Task,
)
from app.services.batch.batch_rows import look, look_at
from app.services.batch.batch_view import batch_view, usage_view
from app.services.reads.row_views import RESULT_FORMS, ResultForm, audit_view, request_view, task_view
from app.services.task import usage_counts

RESULTS_PAGE = 200
CHANGES_PAGE = 500

LONGEST_REASON_BYTES = 64 * 1024  # of a document that was left out, with the JSON around it

_tasks = db.table_of(Task)


def _tasks_showing(result: ColumnElement[Any]) -> Select[Any]:
    return (
        select(
            *(each for each in _tasks.c if each is not _tasks.c.result),
            result.label("result"),
            Document.name.label("document_name"),
            Prompt.name.label("prompt_name"),
            Model.connection,
            Model.model,
            ReadyTask.custom_id,
        )
        .join(Document, Document.id == Task.document_id, isouter=True)
        .join(Prompt, (Prompt.batch_id == Task.batch_id) & (Prompt.number == Task.prompt_number), isouter=True)
        .join(Model, (Model.batch_id == Task.batch_id) & (Model.number == Task.model_number), isouter=True)
        .join(ReadyTask, (ReadyTask.batch_id == Task.batch_id) & (ReadyTask.number == Task.ready_number), isouter=True)
    )


TASKS = _tasks_showing(_tasks.c.result)
# A list shows of a result why a document was left out, and nothing else: the texts of the others are not read for it.
_may_be_left_out = and_(_tasks.c.kind == TaskKind.STAGE, db.stored_bytes(_tasks.c.result) <= LONGEST_REASON_BYTES)
LISTED_TASKS = _tasks_showing(case((_may_be_left_out, _tasks.c.result)))


class Queries:
    """What the edges read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def batch(self, batch_id: int) -> dict[str, Any]:
        """Show a batch, and what it used by model and by prompt. Raises NotFound."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            view = batch_view(batch, facts)
            view["usage"] |= usage_counts.by_model_and_prompt(connection, batch_id, batch.run)
            return view

    def batches(
        self, state: BatchState | None = None, name: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[dict[str, Any]]:
        """List batches, newest first; `name` is a part of the name, in any case."""
        statement = select(Batch.id).where(Batch.archived_at.is_(None))
        if state is not None:
            statement = statement.where(Batch.state == state)
        if name:
            statement = statement.where(Batch.name.icontains(name, autoescape=True))
        if before is not None:
            statement = statement.where(Batch.id < before)
        with reading(self._engine) as connection:
            page = connection.execute(statement.order_by(Batch.id.desc()).limit(limit)).scalars().all()
            found = look_at(connection, page)
            return [batch_view(batch, facts) for batch, facts in found]

    def audit(self, batch_id: int, limit: int = 50, after: int = 0) -> list[dict[str, Any]]:
        """List a batch's audit rows, oldest first; those of an archived batch too. Raises NotFound."""
        statement = (
            select(db.table_of(AuditRow))
            .where(AuditRow.batch_id == batch_id, AuditRow.version > after)
            .order_by(AuditRow.version)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(statement).all()
            if not rows and connection.execute(select(Batch.id).where(Batch.id == batch_id)).first() is None:
                raise NotFound("batch", batch_id)
        return [audit_view(row) for row in rows]

    def requests(self, batch_id: int, limit: int = 50, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """List a batch's queued requests and what became of them, in the order they came, each with its key."""
        statement = (
            select(db.table_of(StateChangeRequest))
            .where(StateChangeRequest.batch_id == batch_id, StateChangeRequest.seq > after)
            .order_by(StateChangeRequest.seq)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            look(connection, batch_id)
            return [(row.seq, request_view(row)) for row in connection.execute(statement)]

    def request(self, request_id: str) -> dict[str, Any]:
        """Show a queued request, with its place in the queue while it waits. Raises NotFound."""
        requests = db.table_of(StateChangeRequest)
        if not request_id.isalnum():
            raise NotFound("request", request_id)
        with reading(self._engine) as connection:
            row = connection.execute(select(requests).where(requests.c.id == request_id)).one_or_none()
            if row is None:
                raise NotFound("request", request_id)
            earlier = select(func.count()).where(
                requests.c.batch_id == row.batch_id,
                requests.c.status == RequestStatus.QUEUED,
                requests.c.seq <= row.seq,
            )
            waiting = row.status == RequestStatus.QUEUED
            position = connection.execute(earlier).scalar_one() if waiting else None
            return {**request_view(row), "queue_position": position}

    def tasks(
        self, batch_id: int, status: str | None = None, run: int | None = None, limit: int = 50, after: int = 0
    ) -> list[dict[str, Any]]:
        """List a run's tasks (the present run's unless told) in the order of their ids. Raises NotFound."""
        with reading(self._engine) as connection:
            present = look(connection, batch_id)[0].run
            wanted = present if run is None else run
            statement = LISTED_TASKS.where(Task.batch_id == batch_id, Task.run == wanted, Task.id > after)
            if status is not None:
                statement = statement.where(Task.status == status)
            return [task_view(row) for row in connection.execute(statement.order_by(Task.id).limit(limit))]

    def task(self, task_id: str) -> dict[str, Any]:
        """Show a task whole: result, error, and results that came too late. Raises NotFound."""
        number = task_number(task_id)
        late = select(db.table_of(LateResult)).where(LateResult.task_id == number).order_by(LateResult.id).limit(1_000)
        with reading(self._engine) as connection:
            row = connection.execute(TASKS.where(Task.id == number)).one_or_none()
            if row is None:
                raise NotFound("task", task_id)
            return {
                **task_view(row),
                "usage": {**usage_view(row), "latency_ms": row.latency_ms},
                "result": row.result,
                "late_results": [
                    {
                        "attempt": each.attempt,
                        "outcome": each.outcome,
                        "result": each.result,
                        "error": each.error,
                        "at": rfc3339(each.at),
                    }
                    for each in connection.execute(late)
                ],
            }

    def results(self, batch_id: int, run: int | None = None, form: str = "ndjson") -> Iterator[dict[str, Any]]:
        """Walk the finished analysis tasks of a run in the order of their ids, a page in memory at a time."""
        with reading(self._engine) as connection:
            present = look(connection, batch_id)[0].run
        return self._walk(batch_id, present if run is None else run, RESULT_FORMS[form])

    def _walk(self, batch_id: int, run: int, form: ResultForm) -> Iterator[dict[str, Any]]:
        page = (
            TASKS.add_columns(*form.columns)
            .where(
                Task.batch_id == batch_id,
                Task.run == run,
                Task.kind == TaskKind.ANALYZE,
                Task.status.in_(form.statuses),
            )
            .order_by(Task.id)
            .limit(RESULTS_PAGE)
        )
        after: int | None = 0
        while after is not None:
            with reading(self._engine) as connection:
                rows = connection.execute(page.where(Task.id > after)).all()
            yield from map(form.view, rows)
            after = rows[-1].id if len(rows) == RESULTS_PAGE else None

    def documents(self, batch_id: int, limit: int = 50, after: int = 0) -> list[dict[str, Any]]:
        """List a batch's documents in the order of their numbers, without what is in them. Raises NotFound."""
        names = ("id", "number", "name", "media_type", "size_bytes", "sha256")
        statement = (
            select(*(db.table_of(Document).c[name] for name in names))
            .where(Document.batch_id == batch_id, Document.number > after)
            .order_by(Document.number)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            look(connection, batch_id)
            return [dict(row) for row in connection.execute(statement).mappings()]

    def document_content(self, document_id: int) -> Any:
        """Read an uploaded document: `name`, `media_type`, `content` or `text`. Raises NotFound."""
        statement = select(Document.name, Document.media_type, Document.content, Document.text).where(
            Document.id == document_id
        )
        with reading(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None or (row.content is None and row.text is None):  # files of a folder lie with the workers
            raise NotFound("content of document", document_id)
        return row

    def batches_by_state(self) -> dict[str, int]:
        """Count the batches in each state."""
        statement = select(Batch.state, func.count()).where(Batch.archived_at.is_(None)).group_by(Batch.state)
        with reading(self._engine) as connection:
            counted = {state: int(amount) for state, amount in connection.execute(statement)}
        return {state: counted.get(state, 0) for state in BatchState}

    def last_change(self) -> tuple[Any, ...] | None:
        """Name the newest audit row by time, batch and version: another answer means that something changed."""
        newest = select(AuditRow.at, AuditRow.batch_id, AuditRow.version).order_by(AuditRow.at.desc()).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else tuple(row)

    def changes_since(self, at: datetime) -> Iterator[Row[Any]]:
        """Walk the audit rows from time `at` on, oldest first, a page in memory at a time: the feed of changes."""
        statement = (
            select(db.table_of(AuditRow), Batch.name, Batch.run)
            .join(Batch, Batch.id == AuditRow.batch_id)
            .order_by(AuditRow.at, AuditRow.batch_id, AuditRow.version)
            .limit(CHANGES_PAGE)
        )
        after: tuple[datetime, int, int] | None = (at, 0, 0)
        while after is not None:
            further = tuple_(AuditRow.at, AuditRow.batch_id, AuditRow.version) > after
            with reading(self._engine) as connection:
                rows = connection.execute(statement.where(further)).all()
            yield from rows
            last = rows[-1] if len(rows) == CHANGES_PAGE else None
            after = (last.at, last.batch_id, last.version) if last else None
