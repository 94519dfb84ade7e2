"""Reads a CSV file with any delimiter: a line for each row, bars between the cells."""

import csv
from io import StringIO

from app.worker.extraction.extracted import TextLimit, broken
from app.worker.extraction.office import row

SAMPLE = 16 * 1024
MAX_CELL = 10_000_000
csv.field_size_limit(MAX_CELL)


def text_of_table(raw: str, limit: TextLimit) -> tuple[str, int]:
    """Return the rows as text, and their number. The delimiter is found from the first lines."""
    try:
        reader = csv.reader(StringIO(raw, newline=""), delimiter=_delimiter(raw[:SAMPLE]))
        rows = (row([" ".join(cell.split()) for cell in cells]) for cells in reader)
        lines = [limit.take(line) for line in rows if line]
    except csv.Error as error:
        raise broken("CSV", error) from error
    return "\n".join(lines), len(lines)


def _delimiter(sample: str) -> str:
    """Find the character that splits most lines into equally many cells. csv.Sniffer may choose a letter."""
    lines = sample.splitlines()[:50]
    counted = {mark: [line.count(mark) for line in lines if line.strip()] for mark in ",;\t|"}
    agreed = {mark: sum(n == counts[0] > 0 for n in counts) for mark, counts in counted.items() if counts}
    best = max(agreed, key=lambda mark: agreed[mark], default=",")
    return best if agreed.get(best) else ","
