"""The text of a CSV file: a row a line, cells apart by a bar, whatever stood between them in the file."""

import csv
from io import StringIO

from app.worker.extraction.found import TextLimit, broken
from app.worker.extraction.office import row

SAMPLE = 16 * 1024
LONGEST_CELL = 10_000_000
csv.field_size_limit(LONGEST_CELL)


def text_of_table(raw: str, limit: TextLimit) -> tuple[str, int]:
    """Return the rows as text, and how many they are; the delimiter is told by the first lines."""
    try:
        reader = csv.reader(StringIO(raw, newline=""), delimiter=_delimiter(raw[:SAMPLE]))
        rows = (row([" ".join(cell.split()) for cell in cells]) for cells in reader)
        lines = [limit.take(line) for line in rows if line]
    except csv.Error as error:
        raise broken("CSV", error) from error
    return "\n".join(lines), len(lines)


def _delimiter(sample: str) -> str:
    """The candidate that splits the most lines into the same number of cells; csv.Sniffer guesses letters, too."""
    lines = sample.splitlines()[:50]
    counted = {mark: [line.count(mark) for line in lines if line.strip()] for mark in ",;\t|"}
    agreed = {mark: sum(n == counts[0] > 0 for n in counts) for mark, counts in counted.items() if counts}
    best = max(agreed, key=lambda mark: agreed[mark], default=",")
    return best if agreed.get(best) else ","
