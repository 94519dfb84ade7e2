"""Excel: values as the sheet shows them, and what stands beside the cells."""

import io
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import pytest
from openpyxl.comments import Comment

from app.worker.extraction import Limits
from app.worker.extraction.office.excel.number_format import formatter
from tests.support.documents import XLSX
from tests.worker.extraction.hostile import repacked
from tests.worker.extraction.reading import left_out, read
from tests.worker.extraction.word_files import renamed


def saved(book: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def sheet_of(*rows: list[Any]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    return book


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("General", 0.1 + 0.2, "0.3"), ("General", 1e16, "1E+16"), ("General", 1e-7, "1E-07"),
        ("General", 4006381333931, "4006381333931"), ("General", 3.14159265358979, "3.141592654"),
        ("General", -5, "-5"), ('General" kg"', 5, "5 kg"), ("0", 1.5, "2"), ("0", -0.4, "0"),
        ("0.0%", 0.256, "25.6%"), ("0%", 0.5, "50%"), ("0.00%", -0.05, "-5.00%"), ("00000", 1234, "01234"),
        ('#,##0.00 "€"', 1234.5, "1,234.50 €"), ("[$€-407]#,##0.00", 3.5, "€3.50"), ("#,##0", 1234567, "1,234,567"),
        ("0.00", 2.675, "2.68"), ("0.00", 1e12 + 0.5, "1000000000000.50"), ("#.##", 0.5, ".5"),
        ("#,##0_);(#,##0)", -1234, "(1,234)"), ("0.00;[Red]-0.00", -3, "-3.00"), ("0;-0;;@", 0, ""),
        ('_(* #,##0.00_);_(* (#,##0.00);_(* "-"??_);_(@_)', 0, "-"),
        ("000-00-0000", 123456789, "123-45-6789"), ("(000) 000-0000", 5551234567, "(555) 123-4567"),
        ('0.0,,"M"', 12345678, "12.3M"), ("0.00E+00", 12345.678, "1.23E+04"), ("# ?/?", 1.5, "1 1/2"),
        ("?/8", 0.375, "3/8"), ('[>=100]0;[<0]"neg" 0;0.00', 5, "5.00"), ('"Q"0', 3, "Q3"),
        ("yyyy-mm-dd", 45418, "2024-05-06"), ("d mmmm yyyy", 45418, "6 May 2024"), ("ddd d.m.yy", 45418, "Mon 6.5.24"),
        ("[$-409]d-mmm-yyyy", 45418, "6-May-2024"), ("dd/mm/yyyy hh:mm", 45418.60416666666, "06/05/2024 14:30"),
        ("h:mm AM/PM", 0.75, "6:00 PM"), ("[h]:mm", 26.5 / 24, "26:30"), ("[mm]:ss", 0.1, "144:00"),
        ("mm:ss.0", 0.00071, "01:01.3"), ("h:mm", 59.99999999, "0:00"), ("dd.mm.yyyy", 59, "28.02.1900"),
        ("yyyy", -1, "-1"),
    ],
)  # fmt: skip
def test_a_number_is_shown_in_its_format(code: str, value: float, shown: str) -> None:
    assert formatter(code)(value) == shown


def test_a_code_without_meaning_never_fails() -> None:
    for code in (";", ";;;;;", "[", '"', "\\", "_", "*", "0/0", "E+", "[h", "[<x]0", "%%%", "," * 50, "0." + "0" * 200):
        for value in (0.0, -1.5, 1e300, 1e-300):
            assert isinstance(formatter(code)(value), str)


def test_values_as_the_sheet_shows_them() -> None:
    book = sheet_of(
        ["Pie", 0.256, 1234, 1234.5, True, None, "=1/0"],
        [date(2024, 5, 6), datetime(2024, 5, 6, 14, 30), time(9, 5), timedelta(hours=26, minutes=30)],
        [None, "b", " two\nlines "],
    )
    sheet = book.active
    assert sheet is not None
    for place, code in {"B1": "0.0%", "C1": "00000", "D1": '#,##0.00 "€"', "D2": "[h]:mm"}.items():
        sheet[place].number_format = code
    found = read(saved(book), "a.xlsx")
    assert found.text.split("\n") == [
        "Sheet", "Pie | 25.6% | 01234 | 1,234.50 € | TRUE |  | =1/0",
        "2024-05-06 | 2024-05-06 14:30:00 | 9:05:00 | 26:30", " | b | two lines",
    ]  # fmt: skip
    assert left_out(found) == ["1 value of a formula, which is shown instead"]


def test_dates_since_1904() -> None:
    book = sheet_of([date(2024, 5, 6)])
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert read(saved(book)).text == "Sheet\n2024-05-06"


def test_hidden_sheets_comments_and_text_boxes_are_read() -> None:
    book = sheet_of(["a"])
    assert book.active is not None
    book.active["A1"].comment = Comment("Ask Ann", "Bob")
    hidden = book.create_sheet("Secret")
    hidden.sheet_state = "hidden"
    hidden.append(["b"])
    found = read(saved(book), "a.xlsx")
    assert found.text == "Sheet\na\nComment A1 (Bob): Ask Ann\n\nSecret\nb"
    assert found.metadata["hidden_sheets"] == ["Secret"]


DRAWING = (
    b'<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing" '
    b'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><xdr:sp><xdr:txBody><a:p><a:r><a:t>In the '
    b"box</a:t></a:r></a:p></xdr:txBody></xdr:sp><xdr:pic/></xdr:wsDr>"
)


def test_text_boxes_are_read_and_pictures_counted() -> None:
    from openpyxl.chart import BarChart

    book = sheet_of(["a", 1])
    assert book.active is not None
    book.active.add_chart(BarChart(), "D1")
    assert left_out(read(saved(book))) == ["1 chart"]
    found = read(repacked(saved(book), xl__drawings__drawing1_xml=DRAWING))
    assert found.text == "Sheet\na | 1\nText box: In the box"
    assert left_out(found) == ["1 picture"]


SHEET = (
    '<x:worksheet xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main"><x:sheetData>{}</x:sheetData></x:worksheet>'
)


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ('<x:c r="B1" t="str"><x:f>A</x:f><x:v>saved</x:v></x:c>', " | saved"),
        ('<x:c t="inlineStr"><x:is><x:r><x:t>rich</x:t></x:r><x:r><x:t>er</x:t></x:r></x:is></x:c>', "richer"),
        (
            '<x:c t="inlineStr"><x:is><x:t>東京</x:t><x:rPh sb="0" eb="2"><x:t>とうきょう</x:t></x:rPh></x:is></x:c>',
            "東京",
        ),
        ('<x:c t="e"><x:v>#N/A</x:v></x:c><x:c/><x:c t="b"><x:v>0</x:v></x:c>', "#N/A |  | FALSE"),
        ('<x:c t="d"><x:v>2024-05-06</x:v></x:c><x:c t="n"><x:v>x</x:v></x:c>', "2024-05-06 | x"),
        ('<x:c r="XFD1"><x:v>1</x:v></x:c>', " | " * 100 + "1"),
    ],
)
def test_what_other_programs_write(cells: str, text: str) -> None:
    content = repacked(
        saved(sheet_of([1])), xl__worksheets__sheet1_xml=SHEET.format(f"<x:row>{cells}</x:row>").encode()
    )
    assert read(content).text == f"Sheet\n{text}"


def test_two_hundred_thousand_rows_are_read_within_the_default_memory() -> None:
    book = openpyxl.Workbook(write_only=True)
    book.create_sheet("Small").append([1])
    row = '<row><c s="0"><v>{0}</v></c><c t="inlineStr"><is><t>item {0}</t></is></c><c><v>{0}.5</v></c></row>'
    rows = "".join(row.format(number) for number in range(200_000))
    xml = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'
    content = repacked(saved(book), xl__worksheets__sheet1_xml=xml.encode())
    found = read(content, "a.xlsx", XLSX, Limits(seconds=600))  # on a loaded machine
    assert found.metadata["rows"] == 200_000
    assert found.text.endswith("199999 | item 199999 | 199999.5")


XMLNS = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
ROW = '<row r="1"><c r="A1"><v>7</v></c><c r="C1" t="inlineStr"><is><t>arrow&gt; a row></t></is></c></row>'
IN_FULL = "<worksheet {0}><sheetData>{1}</sheetData></worksheet>"


@pytest.mark.parametrize(
    "sheet",
    [
        IN_FULL.format(XMLNS, ROW),
        "\ufeff" + IN_FULL.format(XMLNS, ROW),
        f"<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\r\n<?mso x?>{IN_FULL.format(XMLNS, ROW)}",
        IN_FULL.format(XMLNS, ROW.replace("<row", "<!-- <row><c><v>9</v></c></row> --><row")),
        IN_FULL.format(XMLNS, ROW.replace("<v>7</v>", "<v><![CDATA[7]]></v>")),
        IN_FULL.format(XMLNS, ROW.replace('"', "'")),
        IN_FULL.format(XMLNS, ROW.replace('r="A1"', 's="0"\n cm="1"\tr="A1"')),
        IN_FULL.format(XMLNS, ROW.replace("<v>", "<v >").replace("</c>", "</c >").replace("</row>", "</row\n>")),
        IN_FULL.format(XMLNS, ROW.replace("</is>", "<rPh sb='0' eb='1'><t>said</t></rPh></is>")),
        IN_FULL.format(XMLNS, ROW.replace("<t>arrow", "<r><rPr/><t>arr</t></r><r><t xml:space='preserve'>ow")
                       .replace("</t></is>", "</t></r></is>")),
        IN_FULL.replace("<", "<x:").replace("<x:/", "</x:").format(
            XMLNS.replace("xmlns", "xmlns:x"), ROW.replace("<", "<x:").replace("<x:/", "</x:")),
    ],
)  # fmt: skip
def test_xml_may_be_written_in_any_way(sheet: str) -> None:
    content = saved(sheet_of(["a"]))
    for encoding in ("utf-8", "utf-16"):
        if encoding == "utf-16" and "UTF-8" in sheet:
            sheet = sheet.replace("UTF-8", "UTF-16")
        raw = sheet.removeprefix("\ufeff" if encoding == "utf-16" else "").encode(encoding)
        assert read(repacked(content, xl__worksheets__sheet1_xml=raw), "a.xlsx").text == "Sheet\n7 |  | arrow> a row>"


def with_strings(content: bytes, table: bytes) -> bytes:
    """Add a table of strings to a workbook whose strings are in its cells."""
    place, end = "xl/_rels/workbook.xml.rels", b"</Relationships>"
    relation = b'<Relationship Id="strings" Type="x/sharedStrings" Target="sharedStrings.xml"/>' + end
    file = io.BytesIO(
        renamed(content, lambda name, part: (name, part.replace(end, relation if name == place else end)))
    )
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", table)
    return file.getvalue()


@pytest.mark.parametrize(
    "strings", ["<si><t>one &amp;lt;</t></si>", "<si><r><t>one </t></r><r><t>&amp;lt;</t></r></si>"]
)
def test_references_stand_for_one_character_each(strings: str) -> None:
    table = f"<sst {XMLNS}><si/><si><t/></si>{strings}<si><t>two_x000D_\nlines _xD83D_ _x005F_</t></si></sst>".encode()
    cells = (
        "".join(f'<c t="s"><v>{number}</v></c>' for number in range(5))
        + '<c t="str"><f>"a&amp;b"</f><v>a&amp;b</v></c>'
    )
    sheet = IN_FULL.format(XMLNS, f"<row>{cells}</row>").encode()
    content = with_strings(repacked(saved(sheet_of(["a"])), xl__worksheets__sheet1_xml=sheet), table)
    found = read(content, "a.xlsx")
    assert found.text == "Sheet\n |  | one &lt; | two lines _xD83D_ _ |  | a&b"


def test_a_row_may_be_longer_than_what_is_searched_at_a_time() -> None:
    names = ["row> " * 400_000, "end"]
    cells = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in names)
    sheet = IN_FULL.format(XMLNS, f"<row>{cells}</row>" * 2).encode()
    found = read(repacked(saved(sheet_of(["a"])), xl__worksheets__sheet1_xml=sheet), "a.xlsx")
    assert found.metadata["rows"] == 2
    assert [line[-10:] for line in found.text.split("\n")[1:]] == ["row> | end"] * 2
