"""Reads a CSV file with any delimiter: a line for each row, bars between the cells."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from io import StringIO

from app.worker.extraction.found import TextLimit, broken
from app.worker.extraction.rows import row

SAMPLE = 16 * 1024
MAX_CELL = 10_000_000
MAX_REPAIRS = 100  # rows with a quotation mark too many, before quotation marks no longer join lines
DELIMITERS = ",;\t|"
csv.field_size_limit(MAX_CELL)
_SEP_LINE = re.compile(r"\A\"?sep=(.)\"?\r?\n", re.I)  # Excel writes the delimiter there
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")


def text_of_table(raw: str, limit: TextLimit) -> tuple[str, int]:
    """Return the rows as text, and their number. The delimiter is found from the first lines."""
    if stated := _SEP_LINE.match(raw):
        raw = raw[stated.end() :]
    delimiter = stated[1] if stated else _delimiter(raw[:SAMPLE])
    try:
        rows = (row([" ".join(cell.split()) for cell in cells]) for cells in _rows(raw, delimiter))
        lines = [limit.take(line) for line in rows if line]
    except csv.Error as error:
        raise broken("CSV", error) from error
    return "\n".join(lines), len(lines)


def _rows(raw: str, delimiter: str) -> Iterator[list[str]]:
    """Parse the rows. A quotation mark that never ends, or ends in another row, does not join rows."""
    lines = list(StringIO(raw, newline=""))
    begin = 0
    for _ in range(MAX_REPAIRS):
        reader = csv.reader(lines[begin:] if begin else lines, delimiter=delimiter, strict=True)
        end = 0
        try:
            for cells in reader:
                end = reader.line_num
                yield cells
            return
        except csv.Error as error:
            if "limit" in str(error):
                raise
        begin += end + 1
        yield from csv.reader(lines[begin - 1 : begin], delimiter=delimiter)
    for line in lines[begin:]:
        yield from csv.reader([line], delimiter=delimiter)


def _delimiter(sample: str) -> str:
    """Find the character that splits most lines into equally many cells. csv.Sniffer may choose a letter."""
    lines = [line for line in _QUOTED.sub("", sample).splitlines()[:50] if line.strip()]
    if sum(";" in line or "\t" in line for line in lines) * 2 > len(lines):
        lines = [_DECIMAL_COMMA.sub("", line) for line in lines]
    agreed: dict[str, tuple[int, int]] = {}  # how many lines have the same number of it, and which number
    for mark in DELIMITERS:
        counts = Counter(count for line in lines if (count := line.count(mark)))
        agreed[mark] = max(((times, count) for count, times in counts.items()), default=(0, 0))
    best = max(DELIMITERS, key=lambda mark: agreed[mark])
    return best if agreed[best][0] else ","
