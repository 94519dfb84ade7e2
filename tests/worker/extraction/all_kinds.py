"""A folder of files of all kinds, each written by a real writer, with a word that no other file has."""

import io
import json
import mailbox
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import xlwt
from odf import draw, opendocument, style, table, text
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.support import documents
from tests.worker.extraction import binary_excel_files
from tests.worker.extraction.ole_files import message, ole
from tests.worker.extraction.test_other_kinds import book
from tests.worker.extraction.test_presentations import presentation, slide_of
from tests.worker.extraction.word_files import DELETED, paragraph, run, word


def old_excel(mark: str) -> bytes:
    made, file = xlwt.Workbook(), io.BytesIO()
    made.add_sheet("Plan").write(0, 0, mark)
    made.save(file)
    return file.getvalue()


def odt(mark: str) -> bytes:
    made, file = opendocument.OpenDocumentText(), io.BytesIO()
    made.text.addElement(text.P(text=f"The word {mark}"))
    made.write(file)
    return file.getvalue()


def ods(mark: str) -> bytes:
    made, file = opendocument.OpenDocumentSpreadsheet(), io.BytesIO()
    sheet, row, cell = table.Table(name="Plan"), table.TableRow(), table.TableCell(valuetype="string")
    cell.addElement(text.P(text=mark))
    row.addElement(cell)
    sheet.addElement(row)
    made.spreadsheet.addElement(sheet)
    made.write(file)
    return file.getvalue()


def odp(mark: str) -> bytes:
    made, file = opendocument.OpenDocumentPresentation(), io.BytesIO()
    layout = style.PageLayout(name="L")
    made.automaticstyles.addElement(layout)
    master = style.MasterPage(name="M", pagelayoutname=layout)
    made.masterstyles.addElement(master)
    page, frame, box = draw.Page(masterpagename=master), draw.Frame(width="10cm", height="2cm"), draw.TextBox()
    box.addElement(text.P(text=mark))
    frame.addElement(box)
    page.addElement(frame)
    made.presentation.addElement(page)
    made.write(file)
    return file.getvalue()


def xlsb(mark: str) -> bytes:
    cell = binary_excel_files.cell(binary_excel_files.TEXT, 0, binary_excel_files.text(mark))
    return binary_excel_files.workbook({"Plan": binary_excel_files.row(0, cell)})


def notebook(mark: str) -> bytes:
    cell = {"cell_type": "code", "source": [f"print('{mark}')"], "outputs": [{"data": {"image/png": "iVBOR"}}]}
    return json.dumps({"cells": [cell], "nbformat": 4}).encode()


def mail(mark: str) -> bytes:
    made = EmailMessage()
    made["From"], made["Subject"] = "a@x.example", mark
    made.set_content("See the attachment.")
    made.add_attachment(b"\0", maintype="application", subtype="pdf", filename="a.pdf")
    return made.as_bytes()


def picture(line: str) -> Image.Image:
    made = Image.new("L", (1000, 200), 255)
    ImageDraw.Draw(made).text((60, 60), line, fill=0, font=ImageFont.load_default(size=48))
    return made


def scan(mark: str) -> bytes:
    """A PDF whose only page is a picture."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(500, 100), invariant=True)
    canvas.drawImage(ImageReader(picture(f"The word {mark}")), 0, 0, 500, 100)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def half_scan(mark: str) -> bytes:
    """A PDF with text on its first page and an empty drawing on its second."""
    file = io.BytesIO()
    canvas = Canvas(file, invariant=True)
    canvas.drawString(72, 700, f"The word {mark}")
    canvas.showPage()
    canvas.rect(72, 72, 9, 9)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


# The ending, the writer, and what is left out of such a file.
KINDS: tuple[tuple[str, Callable[[str], bytes], str | None], ...] = (
    ("txt", lambda mark: f"The word {mark} – größer".encode("cp1252"), None),
    ("md", lambda mark: f"# {mark}".encode(), None),
    ("csv", lambda mark: f"sep=;\nName;Betrag\n{mark};1,50\n".encode(), None),
    ("html", lambda mark: f"<table><tr><td><p>{mark}</p></td><td>1</td></tr></table>".encode(), None),
    ("pdf", half_scan, "1 page without text"),
    ("docx", lambda mark: word(paragraph(run(f"The word {mark}"), DELETED)), "1 tracked deletion"),
    ("xlsx", lambda mark: documents.excel([mark]), None),
    ("pptx", lambda mark: presentation(lambda made: slide_of(made, "Title", mark)), None),
    ("odt", odt, None),
    ("ods", ods, None),
    ("odp", odp, None),
    ("xlsb", xlsb, None),
    ("xls", old_excel, None),
    ("rtf", lambda mark: rf"{{\rtf1\ansi The word {mark}}}".encode(), None),
    ("epub", lambda mark: book(f"<p>{mark}</p>"), None),
    ("eml", mail, "1 attachment"),
    ("msg", lambda mark: ole(message({"0037": "S", "1000": f"The word {mark}"})), None),
    ("ipynb", notebook, "1 picture"),
    ("vtt", lambda mark: f"WEBVTT\n\n00:01.000 --> 00:02.000\n{mark}\n".encode(), None),
    ("srt", lambda mark: f"1\n00:00:01,000 --> 00:00:02,000\n{mark}\n".encode(), None),
)


def write_all_kinds(folder: Path, count: int, scans: int) -> dict[str, tuple[str, str | None]]:
    """Write `count` files, `scans` of them scans, two in an archive, two in a mailbox.

    Return `{name: (its word, what is left out)}`.
    """
    folder.mkdir(parents=True)
    written: dict[str, tuple[str, str | None]] = {}
    for number in range(count - scans - 4):
        ending, write, left_out = KINDS[number % len(KINDS)]
        name, mark = f"{number:03}.{ending}", f"mark{number}x"
        (folder / name).write_bytes(write(mark))
        written[f"{folder.name}/{name}"] = (mark, left_out)
    for number in range(scans):
        (folder / f"scan{number}.pdf").write_bytes(scan(f"number {number + 100}"))
        written[f"{folder.name}/scan{number}.pdf"] = (f"number {number + 100}", None)
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for name in ("a.txt", "b.txt"):
            archive.writestr(name, f"The word packed{name}")
            written[f"{folder.name}/more.zip/{name}"] = (f"packed{name}", None)
    box = mailbox.mbox(folder / "inbox.mbox")
    for number in (1, 2):
        box.add(mail(f"boxed{number}"))
        written[f"{folder.name}/inbox.mbox/{number}.eml"] = (f"boxed{number}", "1 attachment")
    box.close()
    return written
