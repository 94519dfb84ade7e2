"""The walk through the body of an OpenDocument file: paragraphs, lists, tables, slides, in their order."""

from collections import Counter
from typing import Any

from app.worker.extraction.found import TextLimit
from app.worker.extraction.html.formulas import text_of_formula
from app.worker.extraction.office.archive import local
from app.worker.extraction.office.opendocument.styles import Level
from app.worker.extraction.rows import Box, lines_of_row

SKIPPED = {
    "forms", "sequence-decls", "variable-decls", "user-field-decls", "table-columns", "shapes-decls", "settings",
    "named-expressions", "database-ranges", "calculation-settings", "content-validations", "event-listeners",
    "binary-data", "label-ranges", "data-pilot-tables", "automatic-styles", "ruby-text",
}  # fmt: skip
COUNTED = {"image": "picture", "object": "object", "object-ole": "object", "annotation": "comment"}
MAX_REPEATED = 100  # cells or rows with the same value: a sheet ends with a million empty ones


class Body:
    """Reads blocks one after the other; numbers of notes and slides go on from block to block."""

    def __init__(self, limit: TextLimit, formats: dict[str, dict[int, Level]]) -> None:
        self._limit, self._formats = limit, formats
        self._boxes: list[str] = []
        self._numbers: list[int] = []  # of the open lists
        self.notes: list[str] = []
        self.sheets: list[str] = []
        self.rows = 0
        self.slides = 0
        self.counts: Counter[str] = Counter()

    def blocks(self, container: Any) -> list[str]:
        """Return the text of each paragraph, list item, table and slide in an element."""
        found: list[str] = []
        for element in container:
            name = local(element.tag)
            if name in ("p", "h"):
                text = self._inline(element)
                found += [self._limit.take(text.strip("\n"))] if text.strip() else []
                boxes, self._boxes = self._boxes, []
                found += boxes
            elif name == "list":
                found += self._list(element)
            elif name == "table":
                found += self._table(element)
            elif name == "page":
                found += self._slide(element)
            elif name == "tracked-changes":
                self.counts["deletion"] += sum(1 for _ in element.iter("{*}deletion"))
            elif name in COUNTED:
                self.counts[COUNTED[name]] += 1
            elif name and name not in SKIPPED:
                found += self.blocks(element)
        return found

    def _inline(self, element: Any) -> str:
        text = element.text or ""
        for inner in element:
            text += self._special(inner, local(inner.tag)) + (inner.tail or "")
        return text

    def _special(self, element: Any, name: str) -> str:
        if name == "s":
            count = next((value for key, value in element.attrib.items() if local(key) == "c"), "1")
            return " " * (min(int(count), 100) if count.isdigit() else 1)
        if name in ("tab", "line-break"):
            return "\t" if name == "tab" else "\n"
        if name == "note":
            return self._note(element)
        if name in ("text-box", "custom-shape"):
            self._boxes += self.blocks(element)
            return ""
        if name == "math":
            return text_of_formula(element)
        if name in COUNTED:
            self.counts[COUNTED[name]] += 1
            return ""
        if name in ("table", "list"):
            self._boxes += self.blocks([element])
            return ""
        return "" if not name or name in SKIPPED else self._inline(element)

    def _note(self, element: Any) -> str:
        number = len(self.notes) + 1
        self.notes.append("")
        kept, self._boxes = self._boxes, []
        body = next(iter(element.iter("{*}note-body")), None)
        self.notes[number - 1] = f"[{number}] " + "\n".join(self.blocks(body) if body is not None else [])
        self._boxes = kept
        return f"[{number}]"

    def _list(self, element: Any, style: str = "") -> list[str]:
        own = next((value for key, value in element.attrib.items() if local(key) == "style-name"), "")
        levels = self._formats.get(own or style, {})
        depth = len(self._numbers) + 1
        level = levels.get(depth, Level())
        self._numbers.append(level.start - 1)
        found: list[str] = []
        for item in element:
            if local(item.tag) not in ("list-item", "list-header"):
                continue
            self._numbers[-1] += local(item.tag) == "list-item"
            mark = level.number(self._numbers, levels) if level.style else "  " * (depth - 1) + "- "
            for inner in item:
                if local(inner.tag) == "list":
                    found += self._list(inner, own or style)
                    continue
                blocks = self.blocks([inner])
                found += [mark + blocks[0], *blocks[1:]] if blocks else []
                mark = mark if not blocks else ""
        self._numbers.pop()
        return found

    def _slide(self, page: Any) -> list[str]:
        self.slides += 1
        number = self.slides
        notes = next((each for each in page if local(each.tag) == "notes"), None)
        lines = self.blocks([each for each in page if each is not notes])
        said = self.blocks(notes) if notes is not None else []
        lines += [f"Notes: {' '.join(said)}"] if said else []
        return ["\n".join([f"Slide {number}", *lines])] if lines else []

    def _table(self, table: Any) -> list[str]:
        is_sheet = local(table.getparent().tag) == "spreadsheet"
        lines = self._rows(table)
        name = next((value for key, value in table.attrib.items() if local(key) == "name"), "")
        if is_sheet:
            self.sheets.append(name)
            self.rows += len(lines)
        for line in lines:
            self._limit.take(line)
        return ["\n".join([name, *lines] if is_sheet else lines)] if lines else []

    def _rows(self, container: Any) -> list[str]:
        lines: list[str] = []
        for element in container:
            name = local(element.tag)
            if name == "table-row":
                written = lines_of_row(self._cells(element))
                lines += written * (_repeated(element, "number-rows-repeated") if written else 1)
            elif name == "shapes":
                lines += self.blocks(element)
            elif name and name not in SKIPPED:
                lines += self._rows(element)
        return lines

    def _cells(self, row: Any) -> list[Box]:
        cells: list[Box] = []
        for cell in row:
            if local(cell.tag) in ("table-cell", "covered-table-cell"):
                box = Box([line for block in self.blocks(cell) for line in block.split("\n")])
                box.holds_table = any(local(each.tag) == "table" for each in cell)
                box.lines = box.lines or _formula_of(cell)
                cells += [box] * _repeated(cell, "number-columns-repeated")
        return cells


def _repeated(element: Any, name: str) -> int:
    count = next((value for key, value in element.attrib.items() if local(key) == name), "1")
    return min(int(count), MAX_REPEATED) if count.isdigit() and len(count) < 10 else 1


def _formula_of(cell: Any) -> list[str]:
    """Return the formula of a cell without a saved value, in the form that people write."""
    formula = next((value for key, value in cell.attrib.items() if local(key) == "formula"), "")
    return ["=" + formula.partition("=")[2].replace("[.", "").replace("]", "")] if "=" in formula else []
