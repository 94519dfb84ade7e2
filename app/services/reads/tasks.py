"""Tasks: those of a run in pages, and one of them whole."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, case, exists, func, literal_column, or_, select

from app import db, portions
from app.db import reading
from app.domain.attempts import Attempt, attempts_of
from app.domain.ids import task_number
from app.domain.lease_tokens import Tokens
from app.domain.leases import FINISHED, TaskKind, TaskStatus
from app.domain.money import cost
from app.domain.times import rfc3339
from app.errors import NotFound
from app.models import IS_LEASED, LateResult, Task
from app.services.batch.batch_rows import look
from app.services.batch.batch_view import BatchView, batch_view, usage_view
from app.services.queue.payloads import payloads
from app.services.reads.task_walk import Place, TaskWalk, Wanted
from app.services.task.named_tasks import GETS_IMAGES, named_tasks
from app.services.task.task_counts import counts_of
from app.sql_functions import stored_bytes

LONGEST_REASON_BYTES = 64 * 1024  # of a document that was left out, with the JSON around it
MOST_LATE_RESULTS = 1_000
ERASED_PAYLOAD = "The text of the document was erased."

_tasks = db.table_of(Task)
_late = db.table_of(LateResult)
_but_result = [each for each in _tasks.c if each is not _tasks.c.result]
WHOLE_TASKS = named_tasks(*_but_result, _tasks.c.result)
_LATE = select(_late)
_LATE_SIZES = (
    select(_late.c.id, portions.size_of(_late.c.result, _late.c.error), func.count().over().label("amount"))
    .where(_late.c.task_id == bindparam("of_task"))
    .order_by(_late.c.id)
    .limit(MOST_LATE_RESULTS)
)
# A literal: both databases use the partial index only when its condition stands in the statement.
_IS_BEING_READ = select(
    exists().where(
        IS_LEASED,
        Task.document_id == bindparam("document_id"),
        or_(Task.kind == str(TaskKind.STAGE), GETS_IMAGES),
    )
)
# A list shows of a result only why a document was left out, so the texts of the other results are not read.
_may_be_left_out = and_(_tasks.c.kind == TaskKind.STAGE, stored_bytes(_tasks.c.result) <= LONGEST_REASON_BYTES)
_listed_result = case((_may_be_left_out, _tasks.c.result))
MOST_LOOKED_AT = 500  # staged texts of a batch, of which its page says what was left out
LONGEST_TEXT_BYTES = 1024 * 1024  # that are looked at: the database parses the whole result for one field of it
_STAGED = (
    named_tasks(_tasks.c.id, _tasks.c.result["metadata"]["left_out"].label("left_out"))
    .where(
        _tasks.c.batch_id == bindparam("of_batch"),
        _tasks.c.run == bindparam("of_run"),
        _tasks.c.kind == TaskKind.STAGE,
        _tasks.c.status == TaskStatus.COMPLETED,
        stored_bytes(_tasks.c.result) <= LONGEST_TEXT_BYTES,
    )
    .order_by(_tasks.c.id)
    .limit(MOST_LOOKED_AT)
)
LONGEST_WHY = 300  # characters of the reason why a document was not read
_UNREAD = select(_tasks.c.document_id, _tasks.c.kind, _listed_result.label("result"), _tasks.c.error).where(
    _tasks.c.batch_id == bindparam("of_batch"),
    literal_column(f"tasks.kind = '{TaskKind.STAGE}'"),  # as in the condition of the index
    _tasks.c.document_id.in_(bindparam("document_ids", expanding=True)),
    _tasks.c.run == bindparam("of_run"),
    _tasks.c.status.in_(sorted(FINISHED)),
)
LISTED_TASKS = named_tasks(*_but_result, _listed_result.label("result"))
_last_outcome = (
    select(_late.c.outcome).where(_late.c.task_id == _tasks.c.id).order_by(_late.c.id.desc()).limit(1).scalar_subquery()
)
_LISTED_SIZES = select(
    _tasks.c.id, portions.size_of(_tasks.c.error, _listed_result), _last_outcome.label("late_outcome")
)


def task_names(row: Any) -> dict[str, Any]:
    """Show what a task is about, and how far it is: what a task and a line of results have in common."""
    document = None if row.document_id is None else {"id": row.document_id, "name": row.document_name}
    return {
        "custom_id": row.custom_id,
        "document": document,
        "part": row.part or None,
        "parts": row.parts or None,
        "prompt": row.prompt_name,
        "connection": row.connection,
        "model": row.model,
        "run": row.run,
        "status": row.status,
        "attempt": row.attempt,
        "reused_from": None if row.reused_from is None else str(row.reused_from),
    }


def task_view(row: Any) -> dict[str, Any]:
    """Show a task as in a list, without its result."""
    tokens = Tokens(row.status, row.lease_token, row.lease_outcome, row.lease_answer, row.past_leases)
    held = row.lease_token is not None and tokens.is_current(row.lease_token)
    return {
        "id": str(row.id),
        "batch_id": row.batch_id,
        "kind": row.kind,
        **task_names(row),
        "worker": row.leased_by if held else None,
        "lease_expires_at": rfc3339(row.lease_expires_at) if held else None,
        "available_at": rfc3339(row.available_at),
        "error": row.error,
        "skipped": _skipped(row),
        "truncated": row.truncated,
        "finished_at": rfc3339(row.finished_at),
    }


def _skipped(row: Any) -> str | None:
    """Give the reason why a document was left out, or None."""
    left_out = row.kind == TaskKind.STAGE and (row.result or {}).get("skipped") is True
    return str(row.result.get("reason")) if left_out else None


def _attempt_view(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "at": attempt.at,
        "worker": attempt.worker,
        "outcome": attempt.outcome,
        "code": attempt.code,
        "input_tokens": attempt.input_tokens,
        "output_tokens": attempt.output_tokens,
        "cost": cost(attempt.cost_nanos),
        "latency_ms": attempt.latency_ms,
    }


def _late_view(row: Any) -> dict[str, Any]:
    return {
        "attempt": row.attempt,
        "outcome": row.outcome,
        "result": row.result,
        "error": row.error,
        "at": rfc3339(row.at),
    }


@dataclass(frozen=True)
class TaskPage:
    """A page of a run's tasks, and their batch."""

    batch: BatchView
    run: int
    tasks: list[dict[str, Any]]
    late_outcomes: dict[str, str]  # of the last report of a task that came too late, by the task's id
    next_cursor: str | None


def _in_order(connection: Connection, places: list[Place]) -> list[Any]:
    """Read the sizes of the tasks in a list, and the outcomes of their last late reports, in its order."""
    ids = [place.task_id for place in places]
    sizes = {row.id: row for row in connection.execute(_LISTED_SIZES.where(_tasks.c.id.in_(ids)))} if ids else {}
    return [sizes[each] for each in ids if each in sizes]


def is_being_read(connection: Connection, document_id: int) -> bool:
    """Whether a worker has leased a task for which it reads a document's file."""
    return bool(connection.execute(_IS_BEING_READ, {"document_id": document_id}).scalar_one())


class Tasks:
    """Reads tasks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, batch_id: int, wanted: Wanted, limit: int = 50, after: str | None = None) -> TaskPage:
        """Give a page of tasks after a cursor; it is shorter where errors are large. Raises NotFound, Invalid."""
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            run = batch.run if wanted.run is None else wanted.run
            places, further = TaskWalk(connection, batch_id, run, wanted, limit).places(after)
            sized = _in_order(connection, places)
            rows = portions.first(connection, sized, LISTED_TASKS)
        if rows and rows[-1].id != places[-1].task_id:
            further = next(place.cursor for place in places if place.task_id == rows[-1].id)
        outcomes = {str(row.id): row.late_outcome for row in sized if row.late_outcome}
        return TaskPage(batch_view(batch, facts), run, [task_view(row) for row in rows], outcomes, further)

    def counts(self, batch_id: int, run: int) -> dict[str, dict[str, int]]:
        """Count a run's tasks by kind and status."""
        with reading(self._engine) as connection:
            return counts_of(connection, batch_id, run)

    def left_out(self, batch_id: int) -> list[dict[str, Any]]:
        """List what is not in the texts of the present run's first documents: `{"task_id", "name", "what": [...]}`.

        Raises NotFound.
        """
        with reading(self._engine) as connection:
            batch, _ = look(connection, batch_id)
            rows = connection.execute(_STAGED, {"of_batch": batch_id, "of_run": batch.run}).all()
        return [
            {"task_id": row.id, "name": row.document_name, "what": [str(each.get("what")) for each in row.left_out]}
            for row in rows
            if isinstance(row.left_out, list) and row.left_out and all(isinstance(each, dict) for each in row.left_out)
        ]

    def unread(self, batch_id: int, run: int, document_ids: Collection[int]) -> dict[int, str]:
        """Say of those of some documents that the run left out, or could not read, why, by the document's id."""
        with reading(self._engine) as connection:
            values = {"of_batch": batch_id, "of_run": run, "document_ids": list(document_ids)}
            rows = connection.execute(_UNREAD, values).all() if document_ids else []
        reasons = {row.document_id: _skipped(row) or (row.error or {}).get("message") for row in rows}
        return {document_id: str(reason)[:LONGEST_WHY] for document_id, reason in reasons.items() if reason}

    def show(self, task_id: str) -> dict[str, Any]:
        """Show a task whole, with its result, its error, its attempts and its late results. Raises NotFound."""
        with reading(self._engine) as connection:
            row = self._row(connection, task_id)
            look(connection, row.batch_id)
            return self._shown(connection, row)

    def with_payload(self, batch_id: int, task_id: str) -> dict[str, Any]:
        """Show a batch's task: the `task` whole, its `batch`, and the `payload` that its worker is given.

        If its prompt is too large to be given to a worker, or its text was erased, the payload has only an `error`.
        Raises NotFound.
        """
        with reading(self._engine) as connection:
            batch, facts = look(connection, batch_id)
            row = self._row(connection, task_id)
            if row.batch_id != batch_id:
                raise NotFound("task", task_id)
            (made,) = payloads(connection, [row])
            payload = made if isinstance(made, dict) else {"error": str(made or ERASED_PAYLOAD)}
            return {"batch": batch_view(batch, facts), "task": self._shown(connection, row), "payload": payload}

    def _row(self, connection: Connection, task_id: str) -> Any:
        row = connection.execute(WHOLE_TASKS.where(Task.id == task_number(task_id))).one_or_none()
        if row is None:
            raise NotFound("task", task_id)
        return row

    def _shown(self, connection: Connection, row: Any) -> dict[str, Any]:
        sized = connection.execute(_LATE_SIZES, {"of_task": row.id}).all()
        late = portions.first(connection, sized, _LATE)
        return {
            **task_view(row),
            "usage": {**usage_view(row), "latency_ms": row.latency_ms},
            "result": row.result,
            "attempts": [_attempt_view(each) for each in attempts_of(row.ended_attempts)],
            "late_results": [_late_view(each) for each in late],
            "late_results_left_out": sized[0].amount - len(late) if sized else 0,
        }
