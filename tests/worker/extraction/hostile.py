"""Readers that misbehave in a reader process, and files that make real readers misbehave."""

import io
import os
import signal
import zipfile

from app.worker.extraction import Found
from app.worker.extraction.found import TextLimit

HERE = "tests.worker.extraction.hostile"


def hang(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Wait for ever."""
    signal.pause()
    return Found("")


def spin(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    while True:
        pass


def hog(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Take memory until there is no more."""
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def crash(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Found("")


def crash_once(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Die the first time. The content is the path of a file that marks the first time."""
    if not os.path.exists(content):
        with open(content, "wb"):
            os._exit(3)
    return Found("survived")


def deep(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    return deep(content, charset, limit)


def chatter(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Write to the pipe of the answers, and return the process id and the environment."""
    os.write(1, b"")
    return Found(f"{os.getpid()} {sorted(os.environ)}")


def packed(files: dict[str, bytes]) -> bytes:
    """Make a ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def pack(**files: bytes) -> bytes:
    """Make a ZIP archive. In a name, `__` stands for a slash and `_` for a dot."""
    return packed({name.replace("__", "/").replace("_", "."): content for name, content in files.items()})


def repacked(office: bytes, **changed: bytes) -> bytes:
    """Make an Office file with some of its parts replaced."""
    new, packed = {k.replace("__", "/").replace("_", "."): v for k, v in changed.items()}, io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(office)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in old.namelist():
            archive.writestr(name, new.get(name, old.read(name)))
    return packed.getvalue()


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]>"
)
WORD_XML = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>%s</w:body></w:document>'
SHEET_XML = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'


def cyclic_pdf() -> bytes:
    """Make a PDF whose page tree contains itself, and whose objects refer to each other in a cycle."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1000000 /Parent 3 0 R >>",
        b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 1000000 /Parent 2 0 R /Length 4 0 R >>",
        b"5 0 R",
        b"4 0 R",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    entries = b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 6\n0000000000 65535 f \n" + entries
    return body + table + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(body)
