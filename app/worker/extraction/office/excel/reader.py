"""Reads an Excel workbook (.xlsx and its like): sheet by sheet, a line for each row, values as the sheet shows them."""

from typing import Any

from app.worker.extraction.found import Found, TextLimit, left_out, omitted
from app.worker.extraction.office.archive import Archive, child, local
from app.worker.extraction.office.excel import notes
from app.worker.extraction.office.excel.sheet import SheetParser, shared_strings
from app.worker.extraction.office.excel.styles import styles_of

MAX_NAMES = 1000


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read a workbook. A formula without a saved value is shown as the formula."""
    archive = Archive(content, "Excel")
    main = archive.main_part("xl/workbook.xml")
    book, related = archive.xml(main), archive.related(main)
    parts = dict(related.values())
    settings = child(book, "workbookPr")
    date1904 = settings is not None and settings.get("date1904") in ("1", "true")
    styles = styles_of(archive.optional_xml(parts.get("styles")), date1904)
    strings = shared_strings(archive, parts.get("sharedStrings"))
    texts: list[str] = []
    names, hidden, rows, formulas = [], [], 0, 0
    counts = {"picture": 0, "chart": 0}
    for sheet in child(book, "sheets") if child(book, "sheets") is not None else ():
        name = sheet.get("name") or "Sheet"
        names.append(name)
        if sheet.get("state") in ("hidden", "veryHidden"):
            hidden.append(name)
        part = related.get(_id_of(sheet), ("", ""))[1]
        parser = SheetParser(strings, styles, limit)
        if part in archive and local(sheet.tag) == "sheet" and related[_id_of(sheet)][0] == "worksheet":
            parser.parse(archive, part)
        rows, formulas = rows + len(parser.lines), formulas + parser.formulas_without_value
        lines = parser.lines + [limit.take(note) for note in notes.notes_of(archive, part, counts)]
        if lines:
            texts.append("\n".join([name, *lines]))
    metadata: dict[str, Any] = {"sheets": names[:MAX_NAMES], "rows": rows, "hidden_sheets": hidden[:MAX_NAMES] or None}
    missing = left_out(
        omitted(counts["picture"], "picture"),
        omitted(counts["chart"], "chart"),
        omitted(formulas, "value of a formula, which is shown instead", "values of formulas, which are shown instead"),
    )
    return Found("\n\n".join(texts), {**archive.properties(), **metadata, **missing})


def _id_of(sheet: Any) -> str:
    return next((value for name, value in sheet.attrib.items() if name.endswith("}id")), "")
