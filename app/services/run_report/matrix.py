"""The matrix of a run: documents by columns (a prompt and a model), found by name, by outcome, or by what differs.

The database finds names and outcomes. Whether answers differ is compared here, as readers see them, over a bounded
number of documents: a page may be short, and its cursor goes on from the last document that was looked at. Of an answer
its beginning is kept, and a fingerprint of the whole.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, exists, func, or_, select

from app.db import reading
from app.domain.answer.answers import answer_of, fingerprint
from app.domain.leases import TaskKind
from app.models import IS_FAILED, IS_LEASED, IS_QUEUED, Document, Task
from app.services.run_report import cells
from app.services.run_report.cells import Column, RunInput

MOST_CELLS = 1_200  # that are read to find answers that differ
MOST_SHOWN, MOST_FIELDS, MOST_OF_VALUE, MOST_OF_ERROR = 4_000, 12, 200, 500  # characters, and fields, of a cell
MOST_OF_OUTCOME = 10_000  # tasks with an outcome, among which documents are found
MOST_SORTED = 20_000  # tasks of a run that is sorted: there is no index for it


class Sort(StrEnum):
    """The order of documents: their own, or that of what a column's calls took or cost."""

    NUMBER = "number"
    SLOWEST = "slowest"
    DEAREST = "dearest"


_SORTED_BY = {Sort.SLOWEST: Task.latency_ms, Sort.DEAREST: Task.cost_nanos}


class Show(StrEnum):
    """Which documents are shown."""

    ALL = "all"
    DIFFER = "differ"  # an answer differs from what it is held against
    FAILED = "failed"
    NO_ANSWER = "no_answer"  # a task is open


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


class Field(NamedTuple):
    """A key of a JSON answer with the beginning of its value."""

    name: str
    value: str


class Cell(NamedTuple):
    """An analysis task with the beginning of its answer; `fields` are those of an answer that is a JSON object."""

    task_id: str
    status: str
    truncated: bool
    document_cut: bool
    error: dict[str, str] | None
    fingerprint: bytes | None  # of the whole answer; None without one
    text: str
    fields: list[Field] | None

    def is_like(self, other: "Cell | None") -> bool:
        """Whether another cell has an equal answer."""
        return other is not None and self.fingerprint is not None and self.fingerprint == other.fingerprint

    def differs(self, other: "Cell | None") -> bool:
        """Whether both cells have answers, and these are not equal."""
        both = other is not None and self.fingerprint is not None and other.fingerprint is not None
        return both and not self.is_like(other)


@dataclass
class Row:
    """A document with its cells and those that they are held against, by column."""

    document: dict[str, Any]
    cursor: int  # after which the next row comes: its document's number, or its place if the rows are sorted
    cells: dict[Column, Cell] = field(default_factory=dict)
    bases: dict[Column, Cell] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether an answer of the row differs from what it is held against."""
        return any(cell.differs(self.bases.get(column)) for column, cell in self.cells.items())


@dataclass(frozen=True)
class Page:
    """A page of rows, and the cursor after which the next page begins."""

    rows: list[Row]
    next_cursor: int | None


def page(engine: Engine, made: RunInput, wanted: Wanted, limit: int, after: int) -> Page:
    """Find a page of rows after a cursor."""
    if wanted.show is not Show.DIFFER:
        return _looked_at(engine, made, wanted, limit, after)
    looked_at = _looked_at(engine, made, wanted, max(1, MOST_CELLS // (2 * len(wanted.columns) or 1)), after)
    found = [row for row in looked_at.rows if row.differs]
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].cursor)
    return Page(found, looked_at.next_cursor)


def _looked_at(engine: Engine, made: RunInput, wanted: Wanted, limit: int, after: int) -> Page:
    with reading(engine) as connection:
        documents = connection.execute(_documents(made, wanted, after).limit(limit + 1)).all()
        rows = {
            d.id: Row({"id": d.id, "name": d.name}, after + place if wanted.is_sorted else d.number)
            for place, d in enumerate(documents[:limit], 1)
        }
        held = {column: wanted.held_against(column) for column in wanted.columns}
        read = _cells(connection, made, list(rows), {*held, *held.values()} if wanted.held_run is None else {*held})
        bases = read
        if wanted.held_run is not None:
            bases = _cells(connection, replace(made, run=wanted.held_run), list(rows), set(held))
    for document_id, row in rows.items():
        row.cells = {column: read[key] for column in held if (key := (document_id, *column)) in read}
        row.bases = {column: bases[key] for column, base in held.items() if (key := (document_id, *base)) in bases}
    found = list(rows.values())
    return Page(found, found[-1].cursor if len(documents) > limit else None)


def _documents(made: RunInput, wanted: Wanted, after: int) -> Any:
    of_run = (Task.batch_id == made.batch_id, Task.run == made.run, Task.kind == str(TaskKind.ANALYZE))
    statement = select(Document.id, Document.number, Document.name).where(Document.batch_id == made.batch_id)
    if wanted.is_sorted:
        of_column = (Task.prompt_number, Task.model_number)
        statement = statement.join(Task, Task.document_id == Document.id).where(
            *of_run, *(each == number for each, number in zip(of_column, wanted.sorted_column or (), strict=True))
        )
        by = func.coalesce(_SORTED_BY[wanted.sort], -1)
        statement = statement.order_by(by.desc(), Document.number).offset(after)
    else:
        statement = statement.where(Document.number > after).order_by(Document.number)
    if wanted.name:
        statement = statement.where(Document.name.icontains(wanted.name, autoescape=True))
    if wanted.show in (Show.FAILED, Show.NO_ANSWER):
        # One index for each status: each subquery follows its own.
        outcomes = [IS_FAILED] if wanted.show is Show.FAILED else [IS_QUEUED, IS_LEASED]
        some = [select(Task.document_id).where(*of_run, each).limit(MOST_OF_OUTCOME).subquery() for each in outcomes]
        return statement.where(or_(*(Document.id.in_(select(each.c.document_id)) for each in some)))
    if wanted.is_sorted:
        return statement
    return statement.where(exists().where(*of_run, Task.document_id == Document.id, Task.prompt_number.is_not(None)))


def _cells(
    connection: Connection, made: RunInput, documents: Sequence[int], columns: Collection[Column]
) -> Mapping[tuple[int, int, int], Cell]:
    walked = cells.cells_of(connection, made, documents, columns) if documents and columns else iter(())
    return {(each.document_id, each.prompt_number, each.model_number): _cell(made, each) for each in walked}


def _cell(made: RunInput, row: Any) -> Cell:
    in_json = made.schema(row) is not None
    answer = answer_of(row.result, in_json)
    error = (
        {name: str(row.error.get(name) or "")[:MOST_OF_ERROR] for name in ("code", "message")} if row.error else None
    )
    return Cell(
        str(row.id),
        row.status,
        row.truncated,
        row.document_cut,
        error,
        None if answer is None else fingerprint(answer, in_json),
        "" if answer is None else _written(answer)[:MOST_SHOWN],
        [Field(str(name), _value(value)) for name, value in islice(answer.items(), MOST_FIELDS)]
        if isinstance(answer, dict)
        else None,
    )


def _written(answer: Any) -> str:
    return answer if isinstance(answer, str) else orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()


def _value(value: Any) -> str:
    return (value if isinstance(value, str) else orjson.dumps(value).decode())[:MOST_OF_VALUE]
