"""docs/contract.md, taken apart: its calls, its tables, and the fields that it names under a heading."""

import re
from dataclasses import dataclass

from tests.support.process import ROOT

PATH = ROOT / "docs" / "contract.md"
TEXT = PATH.read_text(encoding="utf-8")
_CALL = re.compile(r"^\| `(GET|POST|PUT|PATCH|DELETE) (/[^`?]*)(\?[^`]*)?` \| ([^|]+) \| (\d{3})(.*)", re.M)


@dataclass(frozen=True)
class Call:
    """One row of a table of calls."""

    method: str
    path: str
    queries: frozenset[str]
    roles: frozenset[str]
    status: str
    answer: str  # what the page says of it

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def calls() -> list[Call]:
    """Read every call of the page."""
    return [
        Call(
            method,
            path,
            frozenset(re.findall(r"(\w+)=", queries)),
            frozenset(re.findall(r"\w+", roles)),
            status,
            answer,
        )
        for method, path, queries, roles, status, answer in _CALL.findall(TEXT)
    ]


def section(heading: str) -> str:
    """Give the text under a heading, up to the next one of any level. Raises StopIteration if there is none."""
    parts = re.split(r"^#+ (.+)$", TEXT, flags=re.M)
    return next(text for title, text in zip(parts[1::2], parts[2::2], strict=True) if title == heading)


def rows(heading: str) -> dict[str, list[str]]:
    """Give the first table under a heading: the name in the first cell, and the other cells."""
    lines = re.findall(r"^\| `([^`]+)` \| (.+) \|$", section(heading), re.M)
    found = {name: rest.split(" | ") for name, rest in lines}
    assert len(found) == len(lines), f"a name stands twice under {heading}"
    return found


def fields(heading: str) -> set[str]:
    """Give the names of the fields that a table describes."""
    return set(rows(heading))
