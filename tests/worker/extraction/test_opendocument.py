"""OpenDocument texts, spreadsheets and presentations, written with odfpy."""

import io
from typing import Any

import pytest
from odf import draw, office, opendocument, style, table, text

from tests.worker.extraction.reading import left_out, read, why


def saved(document: Any) -> bytes:
    file = io.BytesIO()
    document.write(file)
    return file.getvalue()


def paragraph(*parts: Any) -> Any:
    made = text.P()
    for part in parts:
        made.addText(part) if isinstance(part, str) else made.addElement(part)
    return made


def cell(shown: str, **attributes: Any) -> Any:
    made = table.TableCell(**attributes)
    if shown:
        made.addElement(paragraph(shown))
    return made


def rows(*lines: list[str]) -> Any:
    made = table.Table(name="Plan")
    for line in lines:
        row = table.TableRow()
        for value in line:
            row.addElement(cell(value))
        made.addElement(row)
    return made


def test_text_with_lists_tables_notes_and_changes() -> None:
    document = opendocument.OpenDocumentText()
    numbers = text.ListStyle(name="Numbers")
    numbers.addElement(text.ListLevelStyleNumber(level=1, numformat="1", numsuffix="."))
    document.automaticstyles.addElement(numbers)
    note = text.Note(noteclass="footnote")
    note.addElement(text.NoteCitation(text="1"))
    body = text.NoteBody()
    body.addElement(paragraph("the note"))
    note.addElement(body)
    document.text.addElement(text.H(outlinelevel=1, text="Title"))
    document.text.addElement(paragraph("a", text.S(c=2), "b", text.Tab(), "c", text.LineBreak(), "d", note))
    for listed in (text.List(stylename="Numbers"), text.List()):
        for value in ("one", "two"):
            item = text.ListItem()
            item.addElement(paragraph(value))
            listed.addElement(item)
        document.text.addElement(listed)
    document.text.addElement(rows(["Item", "Price"], ["", "3"]))
    comment = office.Annotation()
    comment.addElement(paragraph("Ask Ann"))
    document.text.addElement(paragraph("end", comment))
    found = read(saved(document), "a.odt")
    assert found.text.split("\n\n") == [
        "Title", "a  b\tc\nd[1]", "1. one", "2. two", "- one", "- two", "Item | Price\n | 3", "end",
        "Notes\n[1] the note",
    ]  # fmt: skip
    assert left_out(found) == ["1 comment"]
    assert read(saved(document), "a", "application/octet-stream").text == found.text


def test_sheets_as_they_are_shown() -> None:
    document = opendocument.OpenDocumentSpreadsheet()
    sheet = rows(["Item", "Share"])
    row = table.TableRow()
    row.addElement(cell("Pie", numbercolumnsrepeated=2))
    row.addElement(cell("25.6 %", valuetype="percentage", value="0.256"))
    row.addElement(cell("", formula="of:=[.A1]*2"))
    row.addElement(cell("", numbercolumnsrepeated=16000))
    sheet.addElement(row)
    sheet.addElement(table.TableRow(numberrowsrepeated=1_000_000))
    document.spreadsheet.addElement(sheet)
    found = read(saved(document), "a.ods")
    assert found.text == "Plan\nItem | Share\nPie | Pie | 25.6 % | =A1*2"
    assert (found.metadata["sheets"], found.metadata["rows"]) == (["Plan"], 2)


def test_slides_with_their_notes() -> None:
    document = opendocument.OpenDocumentPresentation()
    layout = style.PageLayout(name="L")
    document.automaticstyles.addElement(layout)
    master = style.MasterPage(name="M", pagelayoutname=layout)
    document.masterstyles.addElement(master)
    for title in ("First", "Second"):
        page = draw.Page(masterpagename=master)
        frame = draw.Frame(width="10cm", height="2cm")
        box = draw.TextBox()
        box.addElement(paragraph(title))
        frame.addElement(box)
        page.addElement(frame)
        document.presentation.addElement(page)
    found = read(saved(document), "a.odp")
    assert found.text == "Slide 1\nFirst\n\nSlide 2\nSecond"
    assert found.metadata["slides"] == 2


@pytest.mark.parametrize("make", [opendocument.OpenDocumentText, opendocument.OpenDocumentSpreadsheet])
def test_a_file_without_text_says_so(make: Any) -> None:
    assert why(saved(make())).startswith("holds no text")
