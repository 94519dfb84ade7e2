"""The walk through the body of a Word document: paragraphs, tables, text boxes, in their order."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from app.worker.extraction.found import TextLimit
from app.worker.extraction.office.archive import attribute, child, local, reference
from app.worker.extraction.office.charts import lines_of_chart
from app.worker.extraction.office.formulas import text_of_formula
from app.worker.extraction.office.word.fields import Fields, check_box, symbol
from app.worker.extraction.office.word.numbering import Numbering
from app.worker.extraction.rows import Box, lines_of_row

SKIPPED = {
    "pPr", "rPr", "sdtPr", "sdtEndPr", "tblPr", "tblGrid", "trPr", "tcPr", "sectPr", "instrText", "delText",
    "delInstrText", "ffData", "fldData", "smartTagPr", "customXmlPr", "softHyphen", "rt", "Fallback", "moveFrom",
    "tblPrEx", "docPr", "cNvPr", "annotationRef", "footnoteRef", "endnoteRef", "del",
}  # fmt: skip
PLAIN = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
COUNTED = {
    "commentReference": "comment", "blip": "picture", "imagedata": "picture", "chart": "chart", "relIds": "chart",
    "OLEObject": "object", "altChunk": "object",
}  # fmt: skip
MAX_SPAN = 100


class Body:
    """Reads blocks one after the other; numbers of lists and notes go on from block to block."""

    def __init__(self, limit: TextLimit, numbering: Numbering, charts: Mapping[str, Any]) -> None:
        """`charts` are the roots of the charts, by the ids that the body refers to them with."""
        self._limit = limit
        self._charts = charts
        self._numbering = numbering
        self._fields = Fields()
        self._boxes: list[str] = []  # texts of the boxes that are anchored in the current paragraph
        self._begun = ""  # of a paragraph whose end was deleted
        self.notes: dict[str, list[str | None]] = {"footnote": [], "endnote": []}
        self.counts: Counter[str] = Counter()

    def blocks(self, container: Any) -> list[str]:
        """Return the text of each paragraph and each table in an element."""
        found: list[str] = []
        for element in container:
            name = local(element.tag)
            if name == "p":
                found += self._paragraph(element)
            elif name == "tbl":
                lines = self._table(element)
                found += ["\n".join(lines)] if lines else []
            elif name == "AlternateContent":
                found += self.blocks(_shown(element))
            elif name in COUNTED:
                self.counts[COUNTED[name]] += 1
            elif name == "del":
                self.counts["deletion"] += 1
            elif name not in SKIPPED:  # content controls, insertions, custom XML
                found += self.blocks(element)
        return found

    def _paragraph(self, element: Any) -> list[str]:
        properties = child(element, "pPr")
        text = self._begun + self._inline(element)
        if properties is not None and child(properties, "rPr", "del") is not None:
            self._begun, text = text, ""
        else:
            self._begun = ""
            bullet = self._numbering.bullet(properties)
            text = self._limit.take(bullet + text.strip("\n") if text.strip() else "")
        boxes, self._boxes = self._boxes, []
        return [*([text.rstrip()] if text else []), *boxes]

    def _inline(self, element: Any) -> str:
        """Return the text of an element within a paragraph."""
        text = ""
        for inner in element:
            name = local(inner.tag)
            if name == "t":
                text += (inner.text or "") if self._fields.shown else ""
            elif name in PLAIN:
                text += PLAIN[name] if self._fields.shown else ""
            elif name == "r" and _is_raised(inner) and text[-1:].isdigit():
                raised = self._inline(inner)
                text += f"^{raised}" if raised[:1].isdigit() else raised
            else:
                text += self._special(inner, name)
        return text

    def _special(self, element: Any, name: str) -> str:
        if name == "fldChar":
            return self._fields.take(element)
        if name == "sym":
            return symbol(element)
        if name in ("footnoteReference", "endnoteReference"):
            notes = self.notes[name.removesuffix("Reference")]
            notes.append(attribute(element, "id"))
            return f"[{len(notes)}]"
        if name == "txbxContent":
            self._boxes += self.blocks(element)
            return ""
        if name == "chart" and (lines := lines_of_chart(self._charts.get(reference(element)))):
            self._boxes.append(self._limit.take("\n".join(lines)))
            return ""
        if name == "sdt" and (box := check_box(element)):
            return box
        if name in ("oMath", "oMathPara"):
            return text_of_formula(element)
        if name == "AlternateContent":
            return self._inline(_shown(element))
        if name == "ruby":
            return "".join(
                f"({self._inline(part)})" if local(part.tag) == "rt" else self._inline(part) for part in element
            )
        if name in COUNTED:
            self.counts[COUNTED[name]] += 1
        if name == "del":
            self.counts["deletion"] += 1
        return "" if name in SKIPPED else self._inline(element)

    def _table(self, table: Any) -> list[str]:
        lines: list[str] = []
        for element in table:
            name = local(element.tag)
            if name == "tr":
                properties = child(element, "trPr")
                if properties is None or child(properties, "del") is None:
                    lines += lines_of_row(self._cells(element))
            elif name not in SKIPPED:
                lines += self._table(element)
        return lines

    def _cells(self, container: Any) -> list[Box]:
        cells: list[Box] = []
        for element in container:
            name = local(element.tag)
            if name == "tc":
                cells += self._cell(element)
            elif name not in SKIPPED:
                cells += self._cells(element)
        return cells

    def _cell(self, element: Any) -> list[Box]:
        """Return a cell, and an empty one for each further column that it covers."""
        box = Box(multiline=True)
        for block in self.blocks(element):
            box.lines += block.split("\n")
        properties = child(element, "tcPr")
        if properties is None:
            return [box]
        box.holds_table = next(element.iterchildren("{*}tbl"), None) is not None
        span = attribute(child(properties, "gridSpan")) or "1"
        return [box, *(Box() for _ in range(min(int(span), MAX_SPAN) - 1 if span.isdigit() else 0))]


def _is_raised(run: Any) -> bool:
    properties = child(run, "rPr")
    return properties is not None and attribute(child(properties, "vertAlign")) == "superscript"


def _shown(alternatives: Any) -> Any:
    """Return the form that Word shows: the first one; older programs show the last one."""
    choices = [each for each in alternatives if local(each.tag) in ("Choice", "Fallback")]
    return choices[0] if choices else alternatives
