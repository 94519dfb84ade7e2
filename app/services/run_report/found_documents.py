"""The documents of a page of the matrix: found by name or by outcome, in their own order or sorted by a column.

An index has what each column's calls took and cost, so that a page of a million documents is read like any other: first
those of which it is known, then the others in their own order. A name is looked for among MOST_LOOKED_AT documents at a
time: a page may be short, and its cursor goes on from the last one that was looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, exists, literal, or_, select, tuple_

from app.domain.ids import plain_number
from app.domain.leases import TaskKind
from app.models import IS_FAILED, IS_LEASED, IS_PAID, IS_QUEUED, IS_TIMED, Document, Task
from app.services.run_report.cells import Column, RunInput

MOST_LOOKED_AT = 5_000
MOST_OF_OUTCOME = 10_000  # tasks with an outcome, among which documents are found


class Sort(StrEnum):
    """The order of documents: their own, or that of what a column's calls took or cost."""

    NUMBER = "number"
    SLOWEST = "slowest"
    DEAREST = "dearest"


class Show(StrEnum):
    """Which documents are shown."""

    ALL = "all"
    DIFFER = "differ"  # an answer differs from what it is held against
    FAILED = "failed"
    NO_ANSWER = "no_answer"  # a task is open


# What a sorted column is sorted by; the condition of its index; and of the tasks that are not in it.
_SORTED_BY = {
    Sort.SLOWEST: (Task.latency_ms, IS_TIMED, Task.latency_ms.is_(None)),
    Sort.DEAREST: (Task.cost_nanos, IS_PAID, Task.cost_nanos <= 0),
}


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a matrix. Answers are held against those of `held_run`, or else of `held_model`."""

    show: Show = Show.ALL
    name: str = ""
    columns: Sequence[Column] = ()
    held_model: int | None = None
    held_run: int | None = None
    sort: Sort = Sort.NUMBER
    sorted_column: Column | None = None

    @property
    def is_sorted(self) -> bool:
        return self.sort is not Sort.NUMBER and self.sorted_column is not None

    def held_against(self, column: Column) -> Column:
        """Name the column that a column is held against."""
        return column if self.held_run is not None else (column[0], self.held_model or column[1])


class Place(NamedTuple):
    """After which document a page begins: its number; or, among those that are sorted, its value and its task."""

    number: int
    task_id: int | None = None

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """Read a cursor; None, which is the beginning, if the text is none."""
        number, _, task = text.partition(".")
        parts = plain_number(number), plain_number(task)
        if parts[0] is None or (task and parts[1] is None):
            return None
        return cls(parts[0], parts[1])

    def __str__(self) -> str:
        return str(self.number) if self.task_id is None else f"{self.number}.{self.task_id}"


class FoundDocument(NamedTuple):
    """A document of the page, and its place."""

    id: int
    name: str
    place: Place


Found = tuple[list[FoundDocument], Place | None]  # with the place where the next page begins


def find(connection: Connection, made: RunInput, wanted: Wanted, limit: int, after: Place | None) -> Found:
    """Find the documents of the page after a place (None: of the first page)."""
    found: list[FoundDocument] = []
    if wanted.is_sorted and (after is None or after.task_id is not None):
        found, further = _sorted(connection, made, wanted, limit, after)
        if further is not None:
            return found, further
        after = None
    others, further = _in_order(connection, made, wanted, limit - len(found), after or Place(0))
    return [*found, *others], further


def _sorted(connection: Connection, made: RunInput, wanted: Wanted, limit: int, after: Place | None) -> Found:
    """Find those of which the sorted column has a value, the highest value first."""
    by, is_known, _ = _SORTED_BY[wanted.sort]
    tasks = select(Task.document_id, Task.id.label("task_id"), by.label("value")).where(
        *_of_column(made, wanted), is_known
    )
    if after is not None:
        tasks = tasks.where(tuple_(by, Task.id) < tuple_(literal(after.number), literal(after.task_id)))
    ordered = tasks.order_by(by.desc(), Task.id.desc())
    is_windowed = bool(wanted.name) and not _outcomes(wanted)
    # Those with an outcome are few: no order and no limit here, so that the planner may begin with them.
    bounded = tasks if _outcomes(wanted) else ordered.limit(MOST_LOOKED_AT if is_windowed else limit + 1)
    looked_at = bounded.subquery("looked_at")
    statement = (
        select(Document.id, Document.name, looked_at.c.value, looked_at.c.task_id)
        .join(looked_at, looked_at.c.document_id == Document.id)
        .where(*_filters(made, wanted))
        .order_by(looked_at.c.value.desc(), looked_at.c.task_id.desc())
        .limit(limit + 1)
    )
    rows = connection.execute(statement).all()
    found = [FoundDocument(row.id, row.name, Place(row.value, row.task_id)) for row in rows[:limit]]
    if len(rows) > limit:
        return found, found[-1].place if found else after
    last = connection.execute(ordered.offset(MOST_LOOKED_AT - 1).limit(1)).one_or_none() if is_windowed else None
    return found, last and Place(last.value, last.task_id)


def _in_order(connection: Connection, made: RunInput, wanted: Wanted, limit: int, after: Place) -> Found:
    """Find documents in their own order; of a sorted column, those of which it has no value."""
    is_windowed = (wanted.is_sorted or bool(wanted.name)) and not _outcomes(wanted)
    documents = select(Document.id, Document.name, Document.number).where(
        Document.batch_id == made.batch_id, Document.number > after.number
    )
    documents = documents.order_by(Document.number)
    looked_at = documents.limit(MOST_LOOKED_AT).subquery("looked_at")
    statement = documents
    if is_windowed:
        statement = statement.join(looked_at, looked_at.c.id == Document.id)
    rows = connection.execute(statement.where(*_filters(made, wanted), *_has_task(made, wanted)).limit(limit + 1)).all()
    found = [FoundDocument(row.id, row.name, Place(row.number)) for row in rows[:limit]]
    if len(rows) > limit:
        return found, found[-1].place if found else after
    last = connection.execute(documents.offset(MOST_LOOKED_AT - 1).limit(1)).one_or_none() if is_windowed else None
    return found, last and Place(last.number)


def _of_run(made: RunInput) -> tuple[Any, ...]:
    return Task.batch_id == made.batch_id, Task.run == made.run, Task.kind == str(TaskKind.ANALYZE)


def _of_column(made: RunInput, wanted: Wanted) -> tuple[Any, ...]:
    prompt, model = wanted.sorted_column or (0, 0)
    # Of a document that is split, its first part stands for all.
    return *_of_run(made), Task.prompt_number == prompt, Task.model_number == model, Task.part <= 1


def _has_task(made: RunInput, wanted: Wanted) -> tuple[Any, ...]:
    """The condition that the run has a task about a document, where no outcome says so."""
    if wanted.is_sorted:
        is_unknown = _SORTED_BY[wanted.sort][2]
        return (exists().where(*_of_column(made, wanted), Task.document_id == Document.id, is_unknown),)
    if _outcomes(wanted):
        return ()
    return (exists().where(*_of_run(made), Task.document_id == Document.id, Task.prompt_number.is_not(None)),)


def _filters(made: RunInput, wanted: Wanted) -> list[Any]:
    conditions: list[Any] = [Document.name.icontains(wanted.name, autoescape=True)] if wanted.name else []
    if outcomes := _outcomes(wanted):
        # One index for each status: each subquery follows its own.
        some = [
            select(Task.document_id).where(*_of_run(made), each).limit(MOST_OF_OUTCOME).subquery() for each in outcomes
        ]
        conditions.append(or_(*(Document.id.in_(select(each.c.document_id)) for each in some)))
    return conditions


def _outcomes(wanted: Wanted) -> list[Any]:
    return {Show.FAILED: [IS_FAILED], Show.NO_ANSWER: [IS_QUEUED, IS_LEASED]}.get(wanted.show, [])
