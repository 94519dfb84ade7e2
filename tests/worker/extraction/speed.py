"""Measures how fast documents are read, with the children that a worker has: `python -m tests.worker.extraction.speed`.

The files have about 200 KB each, in equal shares of ten kinds: see mixed_files.py.
"""

import resource
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import click

from app.worker.extraction import Limits, read
from app.worker.extraction.machine import most_children, processors
from app.worker.extraction.reader_pool import pool_for
from tests.support import documents
from tests.worker.extraction.mixed_files import mixed_files
from tests.worker.extraction.word_files import paragraph, run, word

LIMITS = Limits()
LARGE_ROWS, LARGE_TABLE_ROWS = 200_000, 30_000
SHEET_XMLNS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHEET = f"<worksheet xmlns='{SHEET_XMLNS}'><sheetData>{{}}</sheetData></worksheet>"


def rate(count: int) -> tuple[float, float]:
    """Read `count` files with one thread for each child; return files a second, and processor seconds of a file.

    The latter do not depend on what else the machine does.
    """
    made = mixed_files()
    names = [name for _, name in zip(range(count), list(made) * (count // len(made) + 1), strict=False)]
    characters: Counter[str] = Counter()
    pool_for(LIMITS).close()
    used = _used()
    with ThreadPoolExecutor(most_children(LIMITS.memory_mib)) as threads:
        list(threads.map(lambda name: read(made[name], name, "", LIMITS), list(made) * 2))  # the children start
        began = time.monotonic()
        for name, found in zip(names, threads.map(lambda name: read(made[name], name, "", LIMITS), names), strict=True):
            characters[name] += len(found.text)
        seconds = time.monotonic() - began
    pool_for(LIMITS).close()  # the time of a child counts when it has ended
    assert len(characters) == len(made)
    return count / seconds, (_used() - used) / (count + 2 * len(made))


def _used() -> float:
    """Return the processor seconds of this process and its ended children."""
    found = [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in found)


def large() -> dict[str, float]:
    """Return the seconds that a workbook of 200,000 rows and a Word table of 30,000 rows take."""
    from tests.worker.extraction.hostile import repacked

    cells = (
        '<row><c><v>{0}</v></c><c t="inlineStr"><is><t>item {0}</t></is></c><c><v>{0}.5</v></c><c><v>7</v></c></row>'
    )
    rows = "".join(map(cells.format, range(LARGE_ROWS)))
    row = "<w:tr>" + "".join(f"<w:tc>{paragraph(run(text))}</w:tc>" for text in ("item", "open", "1.50")) + "</w:tr>"
    made = {
        f"{LARGE_ROWS:,} rows of Excel": repacked(
            documents.excel(["a"]), xl__worksheets__sheet1_xml=SHEET.format(rows).encode()
        ),
        f"a Word table of {LARGE_TABLE_ROWS:,} rows": word(f"<w:tbl>{row * LARGE_TABLE_ROWS}</w:tbl>"),
    }
    seconds = {}
    for name, content in made.items():
        timed = partial(read, content, "a", "", LIMITS)
        began = time.monotonic()
        timed()
        seconds[name] = time.monotonic() - began
    return seconds


@click.command()
@click.option("--files", "count", default=2_000, show_default=True, help="How many files are read.")
def main(count: int) -> None:
    """Print how fast documents are read on this machine."""
    found, used = rate(count)
    print(f"{found:.0f} files a second, with {most_children(LIMITS.memory_mib)} children")
    most = processors() / used
    print(f"{1000 * used:.1f} ms of processor time a file: up to {most:.0f} files a second if nothing else runs")
    for name, seconds in large().items():
        print(f"{name}: {seconds:.1f} s")


if __name__ == "__main__":
    main()
