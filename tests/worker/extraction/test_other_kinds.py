"""Old workbooks, RTF, books, notebooks, subtitles."""

import io
import json
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
import xlwt

from tests.worker.extraction.hostile import pack
from tests.worker.extraction.reading import left_out, read, why

CASES = Path(__file__).parent / "cases"


def old_workbook() -> bytes:
    book, file = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("Plan")
    for column, value in enumerate(["Pie", 3, 0.1 + 0.2, True, None, "Größe"]):
        if value is not None:
            sheet.write(0, column, value)
    shown = {
        "yyyy-mm-dd": datetime(2024, 5, 6), "0.0%": 0.256, "00000": 1234, "[h]:mm": 1.1041666666667,
        "#,##0.00": -1234.5,
    }  # fmt: skip
    for column, (code, value) in enumerate(shown.items()):
        sheet.write(1, column, value, xlwt.easyxf(num_format_str=code))
    book.add_sheet("empty").visibility = 1
    book.save(file)
    return file.getvalue()


def test_an_old_workbook() -> None:
    found = read(old_workbook(), "a.xls")
    assert found.text == "Plan\nPie | 3 | 0.3 | TRUE |  | Größe\n2024-05-06 | 25.6% | 01234 | 26:30 | -1,234.50"
    assert found.metadata["hidden_sheets"] == ["empty"]
    assert found.metadata["sheets"] == ["Plan", "empty"]
    assert found.metadata["media_type"] == "application/vnd.ms-excel"
    assert left_out(found) == []
    assert why(old_workbook()[:3000], "a.xls").startswith("is broken: it cannot be read as Excel")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rtf.rtf", "The fee is 250 euros. Grüße"),
        ("book.ipynb", "Title\n\nText\n\n1+1"),
        ("sub.srt", "Hello"),
        ("tsv_as.xls", "Item | Price\nPie | 3"),
    ],
)
def test_cases_of_new_kinds(name: str, text: str) -> None:
    assert read((CASES / name).read_bytes(), name).text == text


RTF = (
    r"{\rtf1\ansi\ansicpg1250{\info{\title Report}}{\header Acme\par}Za\'bf\'f3\'b3\'e6 \u8364? "
    r"see{\footnote the note}\par{\trowd\cellx1\cellx2 Item\cell Price\cell\row}{\pict\pngblip 89504e47}end\par}"
)


def test_rtf_with_tables_notes_and_margins() -> None:
    for name in ("a.rtf", "a.doc", "a.txt"):
        found = read(RTF.encode(), name)
        lines = [line for line in found.text.split("\n") if line]
        assert lines[:2] == ["Header: Acme", "Zażółć € see"]
        assert "Note: the note" in found.text
        assert "Item | Price" in lines
        assert lines[-1] == "end"
        assert (found.metadata["title"], found.metadata["media_type"]) == ("Report", "application/rtf")
        assert left_out(found) == ["1 picture"]


def test_a_notebook_with_outputs() -> None:
    outputs = [
        {"output_type": "stream", "text": ["2\n", "3\n"]},
        {"output_type": "display_data", "data": {"image/png": "iVBOR", "text/plain": "<Figure>"}},
        {"output_type": "error", "traceback": ["\x1b[31mValueError\x1b[0m: no"]},
    ]
    cells = [
        {"cell_type": "markdown", "source": "# Title\n\n[a](b.html)"},
        {"cell_type": "code", "source": ["print(2)\n", "print(3)"], "outputs": outputs},
        {"cell_type": "raw", "source": "raw"},
    ]
    content = json.dumps({"cells": cells, "nbformat": 4, "metadata": {}}).encode()
    for name in ("a.ipynb", "a"):
        found = read(content, name)
        assert found.text == "Title\n\na (b.html)\n\nprint(2)\nprint(3)\n\n2\n3\n\n<Figure>\n\nValueError: no\n\nraw"
        assert (found.metadata["title"], found.metadata["cells"]) == ("Title", 3)
        assert left_out(found) == ["1 picture"]
    for damaged in (b'{"cells": 3}', b"{"):
        assert why(damaged, "a.ipynb").startswith("is broken: it cannot be read as notebook")


VTT = (
    "WEBVTT - a talk\n\nNOTE not spoken\n\nSTYLE\n::cue {}\n\n1\n00:01.000 --> 00:02.000 align:start\n"
    "<v Ann Lee>Hello <b>all</b></v>\n\n00:00:02.000 --> 00:00:03.000\nHello again\n\n"
    "00:00:03.000 --> 00:00:04.000\nHello again\n- 5 < 6\n"
)


@pytest.mark.parametrize("name", ["a.vtt", "a"])
def test_subtitles_are_what_is_spoken(name: str) -> None:
    found = read(VTT.encode(), name)
    assert found.text == "Ann Lee: Hello all\nHello again\n- 5 < 6"
    assert found.metadata["cues"] == 3


SRT = (
    "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>One</i> {\\an8}line\r\nTwo\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,000\r\nThree\r\n"
)


def test_subtitles_with_numbers() -> None:
    assert read(SRT.encode("utf-8"), "a.srt").text == "One line\nTwo\nThree"
    assert read(SRT.replace("\ufeff", "").encode("cp1252"), "a.srt").text == "One line\nTwo\nThree"


def book(*pages: str) -> bytes:
    manifest = "".join(
        f'<item id="p{n}" href="p%20{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(pages))
    )
    spine = "".join(f'<itemref idref="p{number}"/>' for number in reversed(range(len(pages))))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        f"<dc:title>Tales</dc:title><dc:language>fr</dc:language></metadata><manifest>{manifest}</manifest>"
        f"<spine>{spine}</spine></package>"
    )
    container = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("OPS/book.opf", package)
        for number, page in enumerate(pages):
            archive.writestr(f"OPS/p {number}.xhtml", page)
    return file.getvalue()


def test_a_book_in_the_order_of_its_spine() -> None:
    found = read(book("<p>last</p><img src='x'/>", "<h1>first</h1><p>caf\xe9</p>"), "a.epub")
    assert found.text == "first\ncafé\n\nlast"
    assert (found.metadata["title"], found.metadata["language"], found.metadata["pages"]) == ("Tales", "fr", 2)
    assert left_out(found) == ["1 picture without a description"]


@pytest.mark.parametrize(
    ("streams", "ending", "reason"),
    [
        (
            ["WordDocument"],
            "doc",
            "is in an old Office format, of Word before 2007: save it as .docx, or convert it with Lib",
        ),
        (["PowerPoint Document"], "ppt", "is in an old Office format, of PowerPoint before 2007: save it as .pptx"),
        (["WordDocument", "Workbook"], "doc", "is in an old Office format, of Word"),
        (["WordDocument", "Workbook"], "xls", "is broken: it cannot be read as Excel"),
        (["EncryptedPackage"], "docx", "is encrypted"),
    ],
)
def test_old_office_files_say_what_to_do(streams: list[str], ending: str, reason: str) -> None:
    names = b"".join(name.encode("utf-16-le") for name in streams)
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + names
    assert why(content, f"a.{ending}").startswith(reason)


def test_a_kind_that_is_not_read_says_which_are() -> None:
    assert "This worker reads plain text" in why(pack(notes_txt=b"hello"), "a.zip")
    assert "PowerPoint (.pptx)" in why(b"\x7fELF\x02\x00\x00")
