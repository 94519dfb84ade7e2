"""How a cell of the matrix looks: its answer, what differs from the answer that it is held against, or its failure."""

from collections.abc import Mapping
from typing import NamedTuple

from app.domain.answer.differences import Piece, differences
from app.services.run_report.cells import Column
from app.services.run_report.matrix import Cell, Row

MOST_EDITS = 60  # words that differ, beyond which an answer is another one
LINES = {"1": 160, "4": 480, "all": 4_000}  # characters of an answer that are shown, by the number of its lines


class ShownField(NamedTuple):
    """A key of a JSON answer with its value."""

    name: str
    value: str
    is_changed: bool


class ShownCell(NamedTuple):
    """A cell: text, pieces of text of which some differ, or fields."""

    task_id: str
    part: int
    parts: int
    base_id: str | None
    status: str
    is_same: bool
    text: str
    pieces: list[Piece] | None
    fields: list[ShownField]
    error: Mapping[str, str] | None
    is_truncated: bool
    is_document_cut: bool
    is_reused: bool  # it is the answer of the run that it is held against
    is_failed_again: bool  # as it failed in that run


def cells_of(row: Row, characters: int, held_run: int | None) -> dict[Column, list[ShownCell]]:
    """Show the cells of a row, one for each part of the document, with so many characters of each answer.

    `held_run` is the run that they are held against.
    """
    of_run = held_run is not None
    return {
        column: [_shown(each, row.base_of(column, each), characters, of_run) for _, each in sorted(parts.items())]
        for column, parts in row.cells.items()
    }


def _shown(cell: Cell, base: Cell | None, characters: int, of_run: bool) -> ShownCell:
    held = base if base is not None and base.task_id != cell.task_id else None
    text = cell.text[:characters]
    pieces = None
    if held is not None and cell.differs(held) and cell.fields is None:
        pieces = differences(held.text[:characters], text, MOST_EDITS)
    return ShownCell(
        cell.task_id,
        cell.part,
        cell.parts,
        None if held is None else held.task_id,
        cell.status,
        cell.is_like(held),
        text,
        pieces,
        _fields(cell, held),
        cell.error,
        cell.truncated,
        cell.document_cut,
        of_run and held is not None and cell.is_reused and cell.is_like(held),
        of_run and held is not None and cell.error is not None and held.error is not None,
    )


def _fields(cell: Cell, held: Cell | None) -> list[ShownField]:
    before = None if held is None or held.fields is None else dict(held.fields)
    return [
        ShownField(name, value or "–", before is not None and before.get(name) != value)
        for name, value in cell.fields or ()
    ]
