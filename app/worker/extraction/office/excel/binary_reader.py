"""Reads a binary workbook (.xlsb): sheet by sheet, a line for each row, values as the sheet shows them.

The parts are those of .xlsx, but sheets, texts and styles are records in place of XML.
"""

from typing import Any

from app.worker.extraction.found import Found, TextLimit, left_out, omitted
from app.worker.extraction.office.archive import Archive
from app.worker.extraction.office.excel import notes
from app.worker.extraction.office.excel.binary_records import Damaged, records, text, whole
from app.worker.extraction.office.excel.binary_sheet import comments_of, lines_of, shared_texts, styles_of

MAX_NAMES = 1000
_PROPERTIES, _SHEET = 153, 156
_DATES_OF_1904 = 1


def read_formatted(content: bytes, limit: TextLimit) -> Found:
    """Read all sheets, hidden ones too. Raises Damaged, and Unreadable for an archive that cannot be opened."""
    archive = Archive(content, "Excel")
    main = archive.main_part("xl/workbook.bin")
    related = archive.related(main)
    parts = dict(related.values())
    book = list(records(archive.read(main)))
    date1904 = any(number == _PROPERTIES and whole(data, 0) & _DATES_OF_1904 for number, data in book)
    styles = styles_of(_part(archive, parts.get("styles")), date1904)
    texts = shared_texts(_part(archive, parts.get("sharedStrings")))
    sheets, names, hidden, rows = [], [], [], 0
    counts = {"picture": 0, "chart": 0}
    for data in (data for number, data in book if number == _SHEET):
        reference, after = text(data, 8)
        name = text(data, after)[0] or "Sheet"
        names.append(name)
        if whole(data, 0):
            hidden.append(name)
        kind, part = related.get(reference, ("", ""))
        lines = lines_of(_part(archive, part), texts, styles, limit) if kind == "worksheet" else []
        rows += len(lines)
        lines += [limit.take(note) for note in _notes(archive, part, counts)]
        sheets += ["\n".join([name, *lines])] if lines else []
    if not names:
        raise Damaged("it has no sheets")
    metadata: dict[str, Any] = {"sheets": names[:MAX_NAMES], "rows": rows, "hidden_sheets": hidden[:MAX_NAMES] or None}
    missing = left_out(omitted(counts["picture"], "picture"), omitted(counts["chart"], "chart"))
    return Found("\n\n".join(sheets), {**archive.properties(), **metadata, **missing})


def _part(archive: Archive, name: str | None) -> bytes:
    """Return the content of a part that the file may lack."""
    return archive.read(name) if name and name in archive else b""


def _notes(archive: Archive, sheet: str, counts: dict[str, int]) -> list[str]:
    """Return comments, text boxes and charts as lines. Drawings and threads of comments are XML, as in .xlsx."""
    kinds = [kind for kind, _ in archive.related(sheet).values()]
    own = [name for kind, name in archive.related(sheet).values() if kind == "comments"]
    comments = (
        [] if "threadedComment" in kinds else [line for each in own for line in comments_of(_part(archive, each))]
    )
    return comments + notes.notes_of(archive, sheet, counts)
