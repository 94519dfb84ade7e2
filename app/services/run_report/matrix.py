"""The matrix of a run: documents by columns (a prompt and a model), found by name, by outcome, or by what differs.

The database finds names, outcomes and an order. Whether answers differ is compared here, as readers see them, over a
bounded number of documents: a page may be short, and its cursor goes on from the last document that was looked at. Of
an answer its beginning is kept, and a fingerprint of the whole.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine

from app.db import reading
from app.domain.answer.answers import answer_of, fingerprint
from app.services.run_report import cells, found_documents
from app.services.run_report.cells import Column, RunInput
from app.services.run_report.found_documents import Place, Show, Wanted

MOST_CELLS = 1_200  # that are read to find answers that differ
MOST_PARTS_SHOWN = 20  # of a document: its cells have the answers about so many of its first parts
MOST_SHOWN, MOST_FIELDS, MOST_OF_VALUE, MOST_OF_ERROR = 4_000, 12, 200, 500  # characters, and fields, of a cell


class Field(NamedTuple):
    """A key of a JSON answer with the beginning of its value."""

    name: str
    value: str


class Cell(NamedTuple):
    """An analysis task with the beginning of its answer; `fields` are those of an answer that is a JSON object."""

    task_id: str
    part: int
    parts: int
    status: str
    truncated: bool
    document_cut: bool
    error: dict[str, str] | None
    fingerprint: bytes | None  # of the whole answer; None without one
    text: str
    fields: list[Field] | None
    is_reused: bool  # it is the answer of an earlier run

    def is_like(self, other: "Cell | None") -> bool:
        """Whether another cell has an equal answer."""
        return other is not None and self.fingerprint is not None and self.fingerprint == other.fingerprint

    def differs(self, other: "Cell | None") -> bool:
        """Whether both cells have answers, and these are not equal."""
        both = other is not None and self.fingerprint is not None and other.fingerprint is not None
        return both and not self.is_like(other)


@dataclass
class Row:
    """A document with its cells and those that they are held against, by column: one for each part of the document."""

    document: dict[str, Any]
    place: Place
    cells: dict[Column, dict[int, Cell]] = field(default_factory=dict)
    bases: dict[Column, dict[int, Cell]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether an answer of the row differs from what it is held against."""
        return any(
            cell.differs(self.base_of(column, cell)) for column, parts in self.cells.items() for cell in parts.values()
        )

    def base_of(self, column: Column, cell: Cell) -> Cell | None:
        """Find the answer about the same part that a cell is held against."""
        return self.bases.get(column, {}).get(cell.part)


@dataclass(frozen=True)
class Page:
    """A page of rows, and the place after which the next page begins."""

    rows: list[Row]
    next_place: Place | None


def page(engine: Engine, made: RunInput, wanted: Wanted, limit: int, after: Place | None) -> Page:
    """Find a page of rows after a place (None: the first page)."""
    if wanted.show is not Show.DIFFER:
        return _looked_at(engine, made, wanted, limit, after)
    looked_at = _looked_at(engine, made, wanted, max(1, MOST_CELLS // (2 * len(wanted.columns) or 1)), after)
    found = [row for row in looked_at.rows if row.differs]
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].place)
    return Page(found, looked_at.next_place)


def _looked_at(engine: Engine, made: RunInput, wanted: Wanted, limit: int, after: Place | None) -> Page:
    with reading(engine) as connection:
        documents, further = found_documents.find(connection, made, wanted, limit, after)
        rows = {each.id: Row({"id": each.id, "name": each.name}, each.place) for each in documents}
        held = {column: wanted.held_against(column) for column in wanted.columns}
        read = _cells(connection, made, list(rows), {*held, *held.values()} if wanted.held_run is None else {*held})
        bases = read
        if wanted.held_run is not None:
            bases = _cells(connection, replace(made, run=wanted.held_run), list(rows), set(held))
    for document_id, row in rows.items():
        row.cells = {column: read[key] for column in held if (key := (document_id, *column)) in read}
        row.bases = {column: bases[key] for column, base in held.items() if (key := (document_id, *base)) in bases}
    return Page(list(rows.values()), further)


def _cells(
    connection: Connection, made: RunInput, documents: Sequence[int], columns: Collection[Column]
) -> Mapping[tuple[int, int, int], dict[int, Cell]]:
    found: dict[tuple[int, int, int], dict[int, Cell]] = {}
    walked = cells.cells_of(connection, made, documents, columns, MOST_PARTS_SHOWN) if documents and columns else ()
    for each in walked:
        found.setdefault((each.document_id, each.prompt_number, each.model_number), {})[each.part] = _cell(made, each)
    return found


def _cell(made: RunInput, row: Any) -> Cell:
    in_json = made.schema(row) is not None
    answer = answer_of(row.result, in_json)
    error = (
        {name: str(row.error.get(name) or "")[:MOST_OF_ERROR] for name in ("code", "message")} if row.error else None
    )
    return Cell(
        str(row.id),
        row.part,
        row.parts,
        row.status,
        row.truncated,
        row.document_cut,
        error,
        None if answer is None else fingerprint(answer, in_json),
        "" if answer is None else _written(answer)[:MOST_SHOWN],
        [Field(str(name), _value(value)) for name, value in islice(answer.items(), MOST_FIELDS)]
        if isinstance(answer, dict)
        else None,
        row.reused_from is not None,
    )


def _written(answer: Any) -> str:
    return answer if isinstance(answer, str) else orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()


def _value(value: Any) -> str:
    return (value if isinstance(value, str) else orjson.dumps(value).decode())[:MOST_OF_VALUE]
