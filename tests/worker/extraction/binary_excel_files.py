"""Writes binary workbooks (.xlsb) record by record, as [MS-XLSB] describes them: no Python library writes them."""

import struct
from collections.abc import Iterable

from tests.worker.extraction.hostile import packed

RELATION = '<Relationship Id="{}" Type="http://x/{}" Target="{}"/>'
ROW, BLANK, PACKED, ERROR, TRUTH, REAL, TEXT, SHARED, RICH_TEXT = 0, 1, 2, 3, 4, 5, 6, 7, 62
FORMULA_TEXT, FORMULA_REAL, FORMULA_TRUTH, FORMULA_ERROR = 8, 9, 10, 11


def record(number: int, data: bytes = b"") -> bytes:
    head = bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80, number >> 7])
    size, length = len(data), b""
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return head + length + bytes([size]) + data


def text(value: str) -> bytes:
    return struct.pack("<I", len(value.encode("utf-16-le")) // 2) + value.encode("utf-16-le")


BEGIN_SHEET = record(129) + record(148, struct.pack("<IIII", 0, 2**20 - 1, 0, 2**14 - 1)) + record(145)
END_SHEET = record(146) + record(130)


def cell(kind: int, column: int, value: bytes, style: int = 0) -> bytes:
    return record(kind, struct.pack("<II", column, style) + value)


def row(number: int, *cells: bytes) -> bytes:
    return record(ROW, struct.pack("<I", number) + bytes(13)) + b"".join(cells)


def real(value: float) -> bytes:
    return struct.pack("<d", value)


def styles(codes: Iterable[str]) -> bytes:
    """Write styles: the first is General, and then one for each code. Styles of styles come before those of cells."""
    numbered = list(enumerate(codes, 164))
    formats = [record(44, struct.pack("<H", number) + text(code)) for number, code in numbered]
    of_styles = [record(47, struct.pack("<HH", 0xFFFF, 9) + bytes(12))]
    cells = [record(47, struct.pack("<HH", 0, number) + bytes(12)) for number in [0, *dict(numbered), 14]]
    return group(615, formats) + group(626, of_styles) + group(617, cells)


def group(number: int, members: list[bytes]) -> bytes:
    """Write records between the two that say where they begin and end; the first one says how many they are."""
    return record(number, struct.pack("<I", len(members))) + b"".join(members) + record(number + 1)


def comment(row_number: int, column: int, author: int, said: str) -> bytes:
    place = struct.pack("<IIIII", author, row_number, row_number, column, column) + bytes(16)
    return record(635, place) + record(637, b"\0" + text(said)) + record(636)


def workbook(
    sheets: dict[str, bytes], codes: Iterable[str] = (), shared: Iterable[str] = (), date1904: bool = False,
    hidden: Iterable[str] = (), comments: bytes = b"", after_styles: bytes = b"",
) -> bytes:  # fmt: skip
    """Write a workbook; comments are those of the first sheet."""
    texts = list(shared)
    book = record(153, struct.pack("<II", date1904, 0) + text("")) + record(143)
    relations = [
        RELATION.format("s", "styles", "styles.bin"),
        RELATION.format("t", "sharedStrings", "sharedStrings.bin"),
    ]
    files = {
        "_rels/.rels": f"<R>{RELATION.format('r', 'officeDocument', 'xl/workbook.bin')}</R>".encode(),
        "xl/styles.bin": styles(codes) + after_styles,
        "xl/sharedStrings.bin": record(159, struct.pack("<II", len(texts), len(texts)))
        + b"".join(record(19, b"\0" + text(each)) for each in texts),
    }
    for number, (name, content) in enumerate(sheets.items(), 1):
        book += record(156, struct.pack("<II", name in hidden, number) + text(f"r{number}") + text(name))
        relations.append(RELATION.format(f"r{number}", "worksheet", f"worksheets/sheet{number}.bin"))
        files[f"xl/worksheets/sheet{number}.bin"] = BEGIN_SHEET + content + END_SHEET
    if comments:
        related = f"<R>{RELATION.format('c', 'comments', '../comments1.bin')}</R>"
        files |= {"xl/worksheets/_rels/sheet1.bin.rels": related.encode(), "xl/comments1.bin": comments}
    files |= {
        "xl/workbook.bin": book + record(144) + record(132),
        "xl/_rels/workbook.bin.rels": f"<R>{''.join(relations)}</R>".encode(),
    }
    return packed(files)
