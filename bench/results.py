"""Writes the figures as a Markdown table, for the terminal and for docs/performance.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
HEADER = ("what", "measured", "beside it", "ratio", "floor", "")


@dataclass(frozen=True)
class Result:
    """One row of the table. `value`, or else `ratio`, is compared with `at_least` or `at_most`, if there is a floor."""

    what: str
    measured: str
    beside: str = ""
    ratio: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    value: float | None = None  # compared with the floor instead of the ratio

    @property
    def passes(self) -> bool | None:
        """Whether the floor is reached; None without a floor."""
        value = self.ratio if self.value is None else self.value
        if value is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def cells(self) -> tuple[str, ...]:
        floor = "" if self.at_least is None else f"at least {_plain(self.at_least)}"
        floor = floor if self.at_most is None else f"at most {_plain(self.at_most)}"
        verdict = {True: "pass", False: "FAIL", None: ""}[self.passes]
        ratio = "" if self.ratio is None else f"{self.ratio:.3f}"
        return self.what, self.measured, self.beside, ratio, floor, verdict


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2f}"


def table(results: Sequence[Result]) -> str:
    """Lay the results out as a Markdown table with even columns."""
    rows = [HEADER, *(result.cells() for result in results)]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(HEADER))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write_markdown(path: Path, block: str) -> None:
    """Write the block between the markers of a file. A file without markers, or a new file, gets only the block."""
    text = path.read_text() if path.exists() else ""
    if BEGIN in text and END in text:
        before, after = text.split(BEGIN, 1)[0], text.split(END, 1)[1]
    else:
        before, after = "", "\n"
    path.write_text(f"{before}{BEGIN}\n{block}\n{END}{after}")
