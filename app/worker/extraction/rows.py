"""Writes the rows of tables as lines of text, with bars between the cells. All kinds of documents use it."""

from dataclasses import dataclass, field

MAX_CELL_CHARACTERS = 300  # a cell of several lines with more than this is a part of the layout, not a value


@dataclass
class Box:
    """A part of a page with lines of its own: the page itself, or a cell of a table."""

    lines: list[str] = field(default_factory=list)
    holds_table: bool = False
    multiline: bool = False  # keeps its lines within a row, too

    def strip(self) -> None:
        """Remove empty lines at the end."""
        while self.lines and not self.lines[-1].strip():
            self.lines.pop()

    def value(self) -> str:
        """Return its lines as a value in a row."""
        lines = [" ".join(line.split()) for line in self.lines]
        return ("\n" if self.multiline else " ").join(lines).strip()

    @property
    def is_layout(self) -> bool:
        return self.holds_table or (len(self.lines) > 1 and sum(map(len, self.lines)) > MAX_CELL_CHARACTERS)


def lines_of_row(cells: list[Box]) -> list[str]:
    """Write a row of data as one line. A table that only arranges a page keeps the lines of its cells."""
    filled = [cell for cell in cells if cell.lines]
    if len(cells) == 1 or any(cell.is_layout for cell in filled):
        return [line for cell in filled for line in cell.lines]
    line = row([cell.value() for cell in cells])
    return line.split("\n") if line else []


def row(cells: list[str]) -> str:
    """Write a row of a table as a line, with bars between the cells; '' for an empty row."""
    while cells and not cells[-1]:
        cells.pop()
    return " | ".join(cells)
