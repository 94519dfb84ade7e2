"""Real documents of all kinds, written by real writers, and broken ones among them; one seed, the same words."""

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
from msoffcrypto.format.ooxml import OOXMLFile
from reportlab.pdfgen.canvas import Canvas

WORDS = [
    "agreement", "amount", "annex", "approval", "binding", "clause", "consent", "contract", "court", "damages",
    "deadline", "delivery", "deposit", "dispute", "effect", "expense", "freight", "guarantee", "harbour", "insurance",
    "invoice", "liability", "licence", "market", "notice", "option", "party", "payment", "penalty", "period", "price",
    "quality", "receipt", "remedy", "seller", "signature", "transfer", "Größe", "Prüfung", "façade", "naïve",
]  # fmt: skip
BROKEN_EVERY = 10  # one of so many cannot be read


@dataclass(frozen=True)
class Written:
    """One file; `words` are all in its text, and the last of them is in no other file's. None if it is not readable."""

    name: str
    path: Path
    media_type: str
    readable: bool
    words: tuple[str, ...]


def write_documents(folder: Path, count: int, seed: int = 0) -> list[Written]:
    """Write `count` files of all kinds below `folder`, in folders of a hundred; one of ten cannot be read."""
    chance = random.Random(seed)  # not for secrets
    written = []
    for number in range(count):
        readable = number % BROKEN_EVERY != BROKEN_EVERY - 1
        words = (*chance.choices(WORDS, k=chance.randint(20, 60)), f"mark{seed}x{number}")
        ending, media_type, write = chance.choice(KINDS if readable else BROKEN)
        place = folder / f"{number // 100:03}"
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{number:05}.{ending}"
        path.write_bytes(write(list(words)))
        written.append(Written(path.name, path, media_type, readable, words if readable else ()))
    return written


def lines_of(words: list[str]) -> list[str]:
    return [" ".join(words[start : start + 8]) for start in range(0, len(words), 8)]


def text(words: list[str], encoding: str = "utf-8") -> bytes:
    return "\n".join(lines_of(words)).encode(encoding)


def markdown(words: list[str]) -> bytes:
    return f"# {words[0]}\n\n- {words[1]}\n\n**{' '.join(words[2:])}**\n".encode()


def html(words: list[str]) -> bytes:
    rows = "".join(f"<tr><td>{word}</td></tr>" for word in words[:3])
    page = (
        f"<!doctype html><html><head><title>{words[0]}</title><style>p {{}}</style></head><body><table>{rows}</table>"
    )
    return f"{page}<p>{' '.join(words)}</p><script>hidden()</script></body></html>".encode()


def table(words: list[str], delimiter: str = ";") -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(["number", "word"])
    writer.writerows(enumerate(words))
    return file.getvalue().encode()


def pdf(words: list[str], pages: int = 1, **options: object) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, invariant=True, **options)
    for page in range(pages):
        for line, said in enumerate(lines_of(words) if page == 0 else [f"page {page + 1}"]):
            canvas.drawString(72, 760 - 14 * line, said)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def word(words: list[str]) -> bytes:
    document, file = docx.Document(), io.BytesIO()
    document.add_heading(words[0])
    for line in lines_of(words[2:]):
        document.add_paragraph(line)
    document.add_table(1, 2).rows[0].cells[1].text = words[1]
    document.save(file)
    return file.getvalue()


def excel(words: list[str]) -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    for line in lines_of(words):
        book.active.append(line.split())
    book.create_sheet("empty")
    book.save(file)
    return file.getvalue()


def mail(words: list[str]) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x.example", "b@x.example", words[0]
    message["Date"] = "Tue, 24 Nov 2026 12:00:00 +0000"
    message.set_content("\n".join(lines_of(words)))
    message.add_alternative(f"<p>{' '.join(words)}</p>", subtype="html")
    message.add_attachment(b"\0\1\2", maintype="application", subtype="octet-stream", filename="scan.bin")
    return message.as_bytes()


def encrypted_pdf(words: list[str]) -> bytes:
    return pdf(words, encrypt="secret")


def encrypted_word(words: list[str]) -> bytes:
    file = io.BytesIO()
    OOXMLFile(io.BytesIO(word(words))).encrypt("secret", file)
    return file.getvalue()


def blank(words: list[str]) -> bytes:
    """No two are the same, or the second would be left out as a duplicate."""
    return b" " * int(words[-1].rpartition("x")[2])


def picture(words: list[str]) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU" + words[-1].encode()


def half(write: Callable[[list[str]], bytes]) -> Callable[[list[str]], bytes]:
    """A file that was cut off; what PDFium can mend of a PDF it does, so of that little is left."""
    return lambda words: (whole := write(words))[: len(whole) // 2]


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
KINDS: tuple[tuple[str, str, Callable[[list[str]], bytes]], ...] = (
    ("txt", "text/plain", text),
    ("txt", "text/plain", lambda words: text(words, "utf-16")),
    ("txt", "text/plain", lambda words: text(words, "cp1252")),
    ("md", "text/markdown", markdown),
    ("html", "text/html", html),
    ("csv", "text/csv", table),
    ("pdf", "application/pdf", pdf),
    ("docx", DOCX, word),
    ("xlsx", XLSX, excel),
    ("eml", "message/rfc822", mail),
)
BROKEN: tuple[tuple[str, str, Callable[[list[str]], bytes]], ...] = (
    ("txt", "text/plain", blank),
    ("pdf", "application/pdf", lambda words: b"%PDF-1.7\n" + words[-1].encode()),
    ("pdf", "application/pdf", encrypted_pdf),
    ("docx", DOCX, encrypted_word),
    ("docx", DOCX, half(word)),
    ("xlsx", XLSX, half(excel)),
    ("txt", "text/plain", picture),
)
