"""Puts the text of a page together, line by line: lists, tables in tables, preformatted text."""

import re
from typing import Any

from app.worker.extraction.found import TextLimit
from app.worker.extraction.rows import Box, lines_of_row

MAX_SPAN = 100  # columns or rows of one cell
_DROPPED = re.compile("[\u00ad\u200b\u2060\ufeff]")  # places where a word may be broken


class _Table:
    """An open table: its current row, and the cells of earlier rows that reach into it."""

    def __init__(self) -> None:
        self.row: list[Box] | None = None
        self.reaching: dict[int, int] = {}  # column: in how many more rows a cell takes its place
        self.cells: list[tuple[int, int]] = []  # of the open cells: columns and rows


class Page:
    """Takes the events of a walk through a page."""

    def __init__(self, limit: TextLimit) -> None:
        self._limit = limit
        self._boxes = [Box()]
        self._pieces: list[str] = []  # of the current line
        self._bullet = ""  # before the next line
        self._lists: list[int | None] = []  # of each open list: its next number, or None
        self._tables: list[_Table] = []
        self._pre = 0
        self._pre_begins = False

    def text(self) -> str:
        """Return the whole text."""
        while self._tables:
            self.close_table()
        self.end_line()
        return "\n".join(self._boxes[0].lines)

    def write(self, text: str | None) -> None:
        """Add text to the current line."""
        if not text:
            return
        text = self._limit.take(text if text.isascii() else _DROPPED.sub("", text))
        if not self._pre:
            self._pieces.append(text)
            return
        text = text.replace("\r\n", "\n")
        if self._pre_begins:  # a browser drops a line end that follows the element directly
            text, self._pre_begins = text.removeprefix("\n"), False
        first, *others = text.split("\n")
        self._pieces.append(first)
        for line in others:
            self.end_line()
            self._pieces.append(line)

    def write_raised(self, element: Any) -> None:
        """Keep a raised number apart from the number before it: 10 to the power of 2 is not 102."""
        before = self._pieces[-1] if self._pieces else ""
        if before[-1:].isdigit() and "".join(element.itertext()).strip()[:1].isdigit():
            self._pieces.append("^")

    def end_line(self) -> None:
        """End the current line; an empty one is left out, except in preformatted text."""
        if not self._pieces and not self._pre:
            return
        line = "".join(self._pieces)
        self._pieces = []
        line = line.replace("\xa0", " ").rstrip() if self._pre else " ".join(line.split())
        if line or self._pre:
            self._boxes[-1].lines.append(self._bullet + line)
            self._bullet = ""

    def open_list(self, element: Any) -> None:
        self.end_line()
        self._lists.append(_number(element.get("start"), 1) if element.tag == "ol" else None)

    def close_list(self) -> None:
        self.end_line()
        if self._lists:
            self._lists.pop()

    def open_item(self, element: Any) -> None:
        self.end_line()
        number = self._lists[-1] if self._lists else None
        if number is not None:
            number = _number(element.get("value"), number)
            self._lists[-1] = number + 1
        indent = "  " * min(len(self._lists) - 1, 20) if self._lists else ""
        self._bullet = f"{indent}- " if number is None else f"{indent}{number}. "

    def close_item(self) -> None:
        self.end_line()
        self._bullet = ""

    def open_pre(self) -> None:
        self.end_line()
        self._pre += 1
        self._pre_begins = True

    def close_pre(self) -> None:
        if self._pre:
            self._pieces = self._pieces if "".join(self._pieces).strip() else []
            if self._pieces:
                self.end_line()
            self._pre -= 1
            self._boxes[-1].strip()

    def open_table(self) -> None:
        self.end_line()
        self._boxes[-1].holds_table = True
        self._tables.append(_Table())

    def close_table(self) -> None:
        self.close_row()
        if self._tables:
            self._tables.pop()

    def open_row(self) -> None:
        self.close_row()
        if self._tables:
            self._tables[-1].row = []

    def close_row(self) -> None:
        """Write the cells of the current row."""
        if not self._tables or self._tables[-1].row is None:
            self.end_line()
            return
        table = self._tables[-1]
        while table.cells:
            self.close_cell()
        self.end_line()
        self._fill(table)
        self._boxes[-1].lines.extend(lines_of_row(table.row or []))
        table.row = None

    def open_cell(self, element: Any) -> None:
        if not self._tables:
            self.end_line()
            return
        table = self._tables[-1]
        while table.cells:  # its end was left out
            self.close_cell()
        self.end_line()
        table.row = [] if table.row is None else table.row
        self._fill(table)
        spans = [max(1, min(_number(element.get(name), 1), MAX_SPAN)) for name in ("colspan", "rowspan")]
        table.cells.append((spans[0], spans[1]))
        self._boxes.append(Box())

    def close_cell(self) -> None:
        self.end_line()
        table = self._tables[-1] if self._tables else None
        if table is None or table.row is None or not table.cells:
            return
        columns, rows = table.cells.pop()
        if rows > 1:
            table.reaching.update(dict.fromkeys(range(len(table.row), len(table.row) + columns), rows - 1))
        table.row += [self._boxes.pop(), *(Box() for _ in range(columns - 1))]

    def _fill(self, table: _Table) -> None:
        """Leave the columns empty that cells of earlier rows reach into."""
        while table.row is not None and table.reaching.get(len(table.row)):
            table.reaching[len(table.row)] -= 1
            table.row.append(Box())


def _number(raw: str | None, default: int) -> int:
    try:
        return int(raw or default)
    except ValueError:
        return default
