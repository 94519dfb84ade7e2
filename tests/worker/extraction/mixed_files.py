"""A file of each kind that people send most, each of about 200 KB, by real writers: how fast are they read?

PDF, Word, PowerPoint and e-mail are texts of ten to forty pages with pictures, as most files of this size are; the
other kinds have text or values only. The seed is fixed, so that each run measures the same files.
"""

import csv
import io
import json
import random
from collections.abc import Callable
from datetime import date, timedelta
from email.message import EmailMessage

import docx
import openpyxl
import pptx
from PIL import Image
from pptx.util import Inches
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.support.documents import WORDS

SIZE = 200_000
MIX = "text, JSON, Markdown, CSV, HTML, e-mail, PDF, Word, Excel, PowerPoint"
_chance = random.Random(14)  # not for secrets


def mixed_files() -> dict[str, bytes]:
    """Make one file of each kind of MIX."""
    _chance.seed(14)
    texts: dict[str, Callable[[], str]] = {
        "txt": _lines, "json": _records, "md": _section, "csv": _csv_rows, "html": _html_block,
    }  # fmt: skip
    found = {f"a.{ending}": _grown(block).encode() for ending, block in texts.items()}
    return found | {"a.eml": _mail(), "a.pdf": _pdf(), "a.docx": _word(), "a.xlsx": _excel(), "a.pptx": _slides()}


def _grown(block: Callable[[], str]) -> str:
    """Repeat a block, each time with other words, until the text is large enough."""
    blocks, size = [], 0
    while size < SIZE:
        blocks.append(block())
        size += len(blocks[-1])
    return "".join(blocks)


def _sentence(words: int = 14) -> str:
    return " ".join(_chance.choices(WORDS, k=words)).capitalize() + "."


def _amount() -> float:
    return _chance.randrange(1_000_000) / 100


def _day() -> date:
    return date(2020, 1, 1) + timedelta(_chance.randrange(2_000))


def _paragraph(sentences: int = 5) -> str:
    return " ".join(_sentence() for _ in range(sentences))


def _lines() -> str:
    return f"{_sentence()}\n{_sentence(9)}\n\n"


def _records() -> str:
    record = {"id": _chance.randrange(10**6), "name": _sentence(3), "paid": _amount(), "tags": [_sentence(2), None]}
    return json.dumps(record, ensure_ascii=False) + "\n"


def _section() -> str:
    items = "".join(f"- {_sentence(6)}\n" for _ in range(4))
    table = f"| Item | Price |\n|---|---|\n| {_sentence(2)} | {_amount()} |\n| {_sentence(2)} | {_amount()} |\n"
    link = f"See [{_sentence(2)}](https://example.org/{_chance.randrange(999)}) and **{_sentence(3)}**"
    return f"## {_sentence(4)}\n\n{_paragraph(4)} {link}\n\n{items}\n{table}\n"


def _csv_rows() -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=";").writerow([_chance.randrange(10**6), _sentence(6), _amount(), _day(), _sentence(2)])
    return file.getvalue()


def _html_block() -> str:
    cells = "".join(f'<td class="cell"><p>{_sentence(2)}</p></td>\n  <td>{_amount()}</td>' for _ in range(2))
    return (
        f'<section class="clause wide"><h2 id="c{_chance.randrange(999)}">{_sentence(4)}</h2>\n'
        f'<p style="margin: 0 auto">{_paragraph(3)} <a href="/terms/{_chance.randrange(999)}">{_sentence(2)}</a></p>\n'
        f"<table><tr>{cells}</tr><tr>{cells}</tr></table>\n<ul><li>{_sentence(6)}</li><li>{_sentence(6)}</li></ul>\n"
        f'<script>window.loaded = "{_sentence(8)}";</script></section>\n'
    )


def _picture(size: int) -> bytes:
    """Make a PNG of so many bytes: of noise, which does not compress."""
    side, file = int(size**0.5), io.BytesIO()
    Image.frombytes("L", (side, side), _chance.randbytes(side * side)).save(file, "PNG")
    return file.getvalue()


def _mail() -> bytes:
    paragraphs = [_paragraph() for _ in range(60)]
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x.example", "b@x.example", _sentence(4)
    message["Date"] = "Tue, 24 Nov 2026 12:00:00 +0000"
    message.set_content("\n\n".join(paragraphs), cte="quoted-printable")
    page = "".join(f'<p class="MsoNormal"><span lang="EN">{each}</span></p>\n' for each in paragraphs)
    message.add_alternative(f"<html><body>{page}</body></html>", subtype="html", cte="quoted-printable")
    message.add_attachment(_picture(90_000), maintype="image", subtype="png", filename="scan.png")
    return message.as_bytes()


def _pdf() -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, invariant=True)
    for page in range(20):
        canvas.setFont("Helvetica", 9)
        for line in range(44):
            canvas.drawString(50, 780 - 16 * line, _sentence(12))
        if page % 7 == 3:
            canvas.drawImage(ImageReader(io.BytesIO(_picture(38_000))), 300, 80, 200, 200)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _word() -> bytes:
    document, file = docx.Document(), io.BytesIO()
    for section in range(30):
        document.add_heading(_sentence(4))
        for _ in range(6):
            paragraph = document.add_paragraph(f"{_sentence()} ")
            paragraph.add_run(_sentence(4)).bold = True
            paragraph.add_run(f" {_paragraph(3)}")
        document.add_paragraph(_sentence(6), style="List Bullet")
        table = document.add_table(4, 3)
        for row in table.rows:
            for cell in row.cells:
                cell.text = _sentence(2)
        if section in (7, 21):
            document.add_picture(io.BytesIO(_picture(70_000)), Inches(3))
    document.save(file)
    return file.getvalue()


def _excel() -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for sheet in (book.active, book.create_sheet("more")):
        assert sheet is not None
        sheet.append(["number", "date", "name", "price", "share", "amount", "note"])
        for number in range(1_500):
            row = number, _day(), _sentence(2), _amount(), _chance.random(), _chance.randrange(1000), _sentence(4)
            sheet.append(row)
            sheet.cell(number + 2, 4).number_format = "#,##0.00"
            sheet.cell(number + 2, 5).number_format = "0.0%"
    book.save(file)
    return file.getvalue()


def _slides() -> bytes:
    deck, file = pptx.Presentation(), io.BytesIO()
    for number in range(15):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        title, body = slide.placeholders
        title.text_frame.text = _sentence(4)
        body.text_frame.text = "\n".join(map(_sentence, [8] * 6))
        slide.notes_slide.notes_text_frame.text = _paragraph(2)
        if number in (3, 9):
            slide.shapes.add_picture(io.BytesIO(_picture(70_000)), Inches(1), Inches(1))
    deck.save(file)
    return file.getvalue()
