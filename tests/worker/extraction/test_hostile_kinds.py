"""Hostile files of each kind: limits of time, memory and text hold, and the next file is read."""

import struct
from collections.abc import Callable
from contextlib import suppress

import pytest

from app.worker.extraction import Limits, Unreadable
from tests.support import documents
from tests.worker.extraction import binary_excel_files as xlsb
from tests.worker.extraction.hostile import LAUGHS, packed
from tests.worker.extraction.ole_files import message, ole
from tests.worker.extraction.reading import read, why

LIMITS = Limits(seconds=120, memory_mib=400, characters=1_000_000)
SHORT = Limits(seconds=5, memory_mib=400, characters=1_000_000)  # for files that take all time that there is
ODF = "urn:oasis:names:tc:opendocument:xmlns:"
ODF = f'xmlns:office="{ODF}office:1.0" xmlns:text="{ODF}text:1.0"'


def odt(body: bytes, before: bytes = b"") -> bytes:
    content = before + b"<office:document %s><office:body>%s</office:body></office:document>" % (ODF.encode(), body)
    return packed({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": content})


def pptx(slides: int, slide: bytes) -> bytes:
    relation = '<Relationship Id="r{0}" Type="x/slide" Target="slides/slide{0}.xml"/>'
    listed = "".join(f'<p:sldId id="{number}" r:id="r{number}"/>' for number in range(slides))
    main = f'<p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>'
    relations = "".join(relation.format(number) for number in range(slides))
    files = {
        "_rels/.rels": b'<R><Relationship Id="r" Type="x/officeDocument" Target="ppt/presentation.xml"/></R>',
        "ppt/presentation.xml": main.encode(),
        "ppt/_rels/presentation.xml.rels": f"<Relationships>{relations}</Relationships>".encode(),
    }
    return packed(files | {f"ppt/slides/slide{number}.xml": slide for number in range(slides)})


def epub(page: bytes) -> bytes:
    package = b'<package><item id="p" href="p.html" media-type="text/html"/><itemref idref="p"/></package>'
    container = b'<container><rootfile full-path="book.opf"/></container>'
    files = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": container,
        "book.opf": package,
        "p.html": page,
    }
    return packed(files)


def bomb(content: bytes) -> bytes:
    """Let the last part of an archive unpack to 600 MB, as its list of parts says."""
    changed = bytearray(content)
    struct.pack_into("<I", changed, content.rfind(b"PK\1\2") + 24, 600_000_000)
    return bytes(changed)


def cyclic_ole() -> bytes:
    """Let the table of sectors of an OLE file lead in a circle."""
    content = bytearray(ole(message({"1000": "word " * 5000})))
    place = content.rfind(struct.pack("<3I", 1, 2, 3))  # after sector 0 comes 1, and so on
    struct.pack_into("<I", content, place + 16, 2)
    return bytes(content)


SLIDE = b'<p:sld xmlns:p="p" xmlns:a="a"><a:p><a:r><a:t>word</a:t></a:r></a:p></p:sld>'
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb.odt": (lambda: bomb(odt(b"")), "more than 10000 or"),
    "bomb.pptx": (lambda: bomb(pptx(1, SLIDE)), "more than 10000 or"),
    "bomb.epub": (lambda: bomb(epub(b"x")), "more than 10000 or"),
    "bomb.xlsx": (lambda: bomb(documents.excel(["a"])), "more than 10000 or"),
    "bomb.xlsb": (lambda: bomb(xlsb.workbook({"Plan": b""})), "more than 10000 or"),
    "rows.xlsb": (lambda: xlsb.workbook({"Plan": xlsb.row(0) * 25_000_000}), "cannot be read within the limits"),
    "columns.xlsb": (
        lambda: xlsb.workbook({"Plan": (xlsb.row(0) + xlsb.cell(xlsb.TEXT, 2**32 - 1, xlsb.text("x"))) * 10_000}),
        "holds more than 1000000 characters",
    ),
    "slides.pptx": (lambda: pptx(10_000, SLIDE), "more than 10000 or"),
    "laughs.odt": (lambda: odt(b"<text:p>&a9;</text:p>", LAUGHS), "is broken"),
    "deep.odt": (lambda: odt(b"<text:span>" * 5_000 + b"</text:span>" * 5_000), "is nested too deeply"),
    "deep.pptx": (lambda: pptx(1, b'<a:p xmlns:a="a">' * 5_000 + b"</a:p>" * 5_000), "is nested too deeply"),
    "deep.epub": (lambda: epub(b"<div>" * 100_000 + b"word"), "is nested too deeply"),
    "text.odt": (lambda: odt(b"<text:p>word</text:p>" * 300_000), "holds more than 1000000 characters"),
    "groups.rtf": (lambda: b"{\\rtf1 " + b"{" * 20_000_000, "cannot be read within the limits"),
    "deep.ipynb": (lambda: b'{"cells": ' + b"[" * 1_000_000, "is nested too deeply"),
    "tags.srt": (
        lambda: b"1\n00:00:01,000 --> 00:00:02,000\n" + b"<b " * 1_000_000,
        "cannot be read within the limits",
    ),
    "cut.xls": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "Workbook".encode("utf-16-le"), "is broken"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_and_the_next_one_read(name: str) -> None:
    make, reason = FILES[name]
    limits = SHORT if "within the limits" in reason else LIMITS
    assert reason in why(make(), name, limits=limits)
    assert read(documents.pdf(["agreement"]), limits=limits).text == "agreement"


def test_streams_that_lead_in_a_circle_end() -> None:
    with suppress(Unreadable):
        read(cyclic_ole(), "a.msg", limits=LIMITS)
    assert read(documents.pdf(["agreement"]), limits=LIMITS).text == "agreement"


def test_thousands_of_slides_are_read() -> None:
    found = read(pptx(4_000, SLIDE), "a.pptx", limits=LIMITS)
    assert found.metadata["slides"] == 4_000
    assert found.text.endswith("Slide 4000\nword")


@pytest.mark.parametrize("content", [b"<!-- x -->" * 6000 + b"text", b"<?xml v?>" * 7000, b'Target="word/x" ' * 4000])
def test_finding_the_kind_takes_no_long_time(content: bytes) -> None:
    assert read(content, "a", limits=LIMITS).text
    assert why(packed({"_rels/.rels": content, "x": b""}), "a.docx", limits=LIMITS).startswith("is an archive")
