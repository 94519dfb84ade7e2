"""Reads the cells of one sheet with expat: two hundred thousand rows in a few seconds, in little memory."""

from functools import lru_cache
from typing import Any
from xml.parsers import expat

from app.worker.extraction.found import TextLimit, broken
from app.worker.extraction.office.archive import Archive
from app.worker.extraction.office.excel.number_format import general
from app.worker.extraction.office.excel.styles import Show
from app.worker.extraction.rows import row

MAX_GAP = 100  # empty cells in a row that are shown: a sheet has 16,384 columns


def _expat() -> Any:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        raise broken("Excel", "it has a document type, which no office program writes")

    parser.StartDoctypeDeclHandler = refuse
    return parser


def shared_strings(archive: Archive, part: str | None) -> list[str]:
    """Return the strings that the cells of all sheets refer to by number."""
    if not part or part not in archive:
        return []
    found: list[str] = []
    pieces: list[str] = []
    state = {"hidden": 0}  # how many guides to pronunciation are open
    parser = _expat()

    def start(tag: str, _: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "rPh":
            state["hidden"] += 1
        elif name == "t" and not state["hidden"]:
            parser.CharacterDataHandler = pieces.append
        elif name == "si":
            pieces.clear()

    def end(tag: str) -> None:
        name = tag.rpartition(":")[2]
        parser.CharacterDataHandler = None
        if name == "si":
            found.append(_one_line("".join(pieces)))
        elif name == "rPh":
            state["hidden"] -= 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    _parse(parser, archive.read(part))
    return found


class SheetParser:
    """Collects the rows of a sheet as lines."""

    def __init__(self, strings: list[str], styles: list[Show | None], limit: TextLimit) -> None:
        self.lines: list[str] = []
        self.formulas_without_value = 0
        self._strings, self._styles, self._limit = strings, styles, limit
        self._row: list[str] = []
        self._cell: dict[str, str] = {}  # the attributes of the current cell
        self._value = self._formula = ""
        self._pieces: list[str] = []
        self._hidden = 0

    def parse(self, archive: Archive, part: str) -> None:
        """Read the sheet that is in a part of the file."""
        parser = _expat()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._pieces.append
        _parse(parser, archive.read(part))

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag if ":" not in tag else tag.rpartition(":")[2]
        if name == "c":
            self._cell = attributes
            self._value = self._formula = ""
        elif name in ("v", "f", "t"):
            self._pieces.clear()
        elif name == "row":
            self._row = []
        elif name == "rPh":
            self._hidden += 1

    def _end(self, tag: str) -> None:
        name = tag if ":" not in tag else tag.rpartition(":")[2]
        if name == "v" and not self._hidden:
            self._value = "".join(self._pieces)
        elif name == "c":
            self._end_cell()
        elif name == "row":
            if line := row(self._row):
                self.lines.append(self._limit.take(line))
        elif name == "rPh":
            self._hidden -= 1
        elif name in ("f", "t") and not self._hidden:
            text = "".join(self._pieces)
            if name == "f":
                self._formula = text
            else:
                self._value += text  # rich text has several pieces

    def _end_cell(self) -> None:
        place = self._cell.get("r")
        if text := self._shown():
            if place and (gap := _column(place) - len(self._row)) > 0:
                self._row.extend([""] * min(gap, MAX_GAP))
            self._row.append(text)
        elif not place:
            self._row.append("")

    def _shown(self) -> str:
        """Return the text that the sheet shows in the current cell."""
        value, kind = self._value, self._cell.get("t", "n")
        if not value:
            if self._formula and kind != "str":
                self.formulas_without_value += 1
                return _one_line("=" + self._formula)
            return ""
        if kind == "s":
            return self._strings[int(value)] if value.isdigit() and int(value) < len(self._strings) else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        return self._number(value) if kind == "n" else value if kind == "d" else _one_line(value)

    def _number(self, value: str) -> str:
        style = self._cell.get("s", "")
        show = self._styles[int(style)] if style.isdigit() and int(style) < len(self._styles) else None
        if show is None and len(value) < 12 and value.isdigit():
            return value
        try:
            number = float(value)
        except ValueError:
            return _one_line(value)
        return show(number) if show else general(number)


def _column(place: str) -> int:
    """Return the number of a column, from 0: of `AB12`, 27."""
    return _number_of(place.rstrip("0123456789"))


@lru_cache(20_000)
def _number_of(letters: str) -> int:
    number = 0
    for letter in letters[:3].upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _parse(parser: Any, content: bytes) -> None:
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError) as error:
        raise broken("Excel", error) from error
