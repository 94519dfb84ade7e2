"""Reads a presentation (.pptx and its like): slide by slide, with tables, diagrams and notes."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from app.worker.extraction.found import Found, TextLimit, left_out, omitted
from app.worker.extraction.office.archive import Archive, attribute, child, local, reference
from app.worker.extraction.office.charts import lines_of_chart
from app.worker.extraction.office.formulas import text_of_formula
from app.worker.extraction.rows import Box, lines_of_row

COUNTED = {"pic": "picture", "oleObj": "embedded object"}
MAX_SPAN = 100
MAX_NAMED = 1000


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read the slides in their order. Hidden slides are read, too."""
    archive = Archive(content, "PowerPoint")
    main = archive.main_part("ppt/presentation.xml")
    presentation, related = archive.xml(main), archive.related(main)
    counts: Counter[str] = Counter()
    texts, hidden, number = [], [], 0
    listed = child(presentation, "sldIdLst")
    for slide in listed if listed is not None else ():
        part = related.get(reference(slide), ("", ""))[1]
        if part not in archive:
            continue
        number += 1
        root, notes = archive.xml(part), _notes(archive, part, counts)
        if root.get("show") in ("0", "false"):
            hidden.append(number)
        drawings = {**_diagrams(archive, part), **archive.charts(part)}
        lines = [*_lines(root, drawings), *notes]
        charts = [each for each in root.iter("{*}chart") if reference(each)]
        counts["chart"] += sum(not lines_of_chart(drawings.get(reference(each))) for each in charts)
        counts.update(COUNTED[name] for each in root.iter() if (name := local(each.tag)) in COUNTED)
        if lines:
            texts.append(limit.take("\n".join([f"Slide {number}", *lines])))
    missing = left_out(*(omitted(counts[what], what) for what in (*COUNTED.values(), "chart", "comment")))
    metadata = {"slides": number, "hidden_slides": hidden[:MAX_NAMED] or None}
    return Found("\n\n".join(texts), {**archive.properties(), **metadata, **missing})


def _lines(root: Any, drawings: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of all shapes, tables, charts and diagrams below an element."""
    for element in root:
        name = local(element.tag)
        if name == "p":
            if text := _text_of(element).strip():
                yield from text.split("\n")
        elif name == "tbl":
            for row in element.iter("{*}tr"):
                yield from lines_of_row(_cells(row))
        elif name == "relIds":
            data = next((drawings[value] for value in element.attrib.values() if value in drawings), None)
            if data is not None:
                yield from _lines(data, {})
        elif name == "chart":
            yield from lines_of_chart(drawings.get(reference(element)))
        elif name == "AlternateContent":
            yield from _lines(child(element, "Choice") if child(element, "Choice") is not None else element, drawings)
        elif name:
            yield from _lines(element, drawings)


def _cells(row: Any) -> list[Box]:
    cells: list[Box] = []
    for cell in row.iter("{*}tc"):
        merged = cell.get("hMerge") in ("1", "true") or cell.get("vMerge") in ("1", "true")
        cells.append(Box() if merged else Box(list(_lines(cell, {})), multiline=False))
    return cells


def _text_of(paragraph: Any) -> str:
    text = ""
    for element in paragraph:
        name = local(element.tag)
        if name in ("r", "fld"):
            text += "".join(each.text or "" for each in element.iter("{*}t"))
        elif name == "br":
            text += "\n"
        elif name in ("m", "oMath", "oMathPara"):
            text += text_of_formula(element)
        elif name == "AlternateContent":
            text += _text_of(child(element, "Choice") if child(element, "Choice") is not None else element)
    return text


def _diagrams(archive: Archive, part: str) -> dict[str, Any]:
    """Return the texts of the slide's diagrams (SmartArt), by the ids that the slide refers to them with."""
    found = {}
    for identifier, (kind, name) in archive.related(part).items():
        if kind == "diagramData" and (root := archive.optional_xml(name)) is not None:
            found[identifier] = root
    return found


def _notes(archive: Archive, part: str, counts: Counter[str]) -> list[str]:
    lines: list[str] = []
    for kind, name in archive.related(part).values():
        root = archive.optional_xml(name) if kind in ("notesSlide", "comments", "comment") else None
        if root is None:
            continue
        if kind == "notesSlide":
            for shape in root.iter("{*}sp"):
                if any(attribute(each, "type") == "body" for each in shape.iter("{*}ph")):
                    lines += _lines(shape, {})
        else:
            counts["comment"] += sum(local(each.tag) in ("cm", "comment") for each in root)
    return [f"Notes: {' '.join(lines)}"] if lines else []
