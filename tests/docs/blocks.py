"""The shell blocks of a guide, run in order against a live server, and the answers shown under them.

The convention, as a reader sees it: a fenced `sh` block with a `curl -i`, and under it a fenced `http` block with
the status line, some headers and the body of the answer: see shown_answers. What happens beside the shell is said in
comments of the page: `<!-- somebody locks batch 4 -->` and `<!-- somebody lets go -->`.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from tests.docs.shown_answers import hold_against
from tests.support.process import ROOT
from tests.support.server import KEPT_ENVIRONMENT
from tests.support.waiting import LIMIT_SECONDS

_PART = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$|^<!-- (?P<note>somebody .*?) -->$", re.M | re.S)
_LOCK = re.compile(r"somebody locks batch (\d+)")
_ASSIGNMENT = re.compile(r"(export )?[A-Z]+=")
# Given by the test: what a page says of them is for its reader.
_GIVEN = re.compile(r"^(export )?(URL|TOKEN)=.*$", re.M)


@dataclass(frozen=True)
class Part:
    """A block or note of a page, and the line it begins on."""

    kind: str
    text: str
    line: int


def parts_of(page: Path) -> Iterator[Part]:
    """Walk the blocks and notes of a page in order."""
    text = page.read_text()
    for found in _PART.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Part(found["kind"] or "note", found["text"] or found["note"], line)


def runs_here(part: Part) -> bool:
    """Whether a shell block is for the live server; the others start one, or work on the checkout."""
    asks = "curl " in part.text or "play_worker.py" in part.text
    return part.kind == "sh" and (asks or all(map(_ASSIGNMENT.match, part.text.splitlines())))


class Reader:
    """Follows a page: keeps one shell's variables from block to block, and holds what somebody locks."""

    def __init__(self, page: Path, url: str, token: str, folder: Path, database_url: str | None = None) -> None:
        self._page = page
        self._state = folder / "variables"
        self._database_url = database_url
        self._environment = {k: v for k, v in os.environ.items() if k in KEPT_ENVIRONMENT}
        self._environment |= {"URL": url, "TOKEN": token}
        self._said = ""

    def follow(self) -> int:
        """Run every block; return how many answers were compared. Raises AssertionError at the first difference."""
        compared = 0
        with ExitStack() as held:
            for part in parts_of(self._page):
                if runs_here(part):
                    self._said = self._run(part)
                elif part.kind == "http":
                    hold_against(part.text, self._said, f"{self._page.name}:{part.line}")
                    compared += 1
                elif found := _LOCK.fullmatch(part.text):
                    self._lock(held, int(found[1]))
                elif part.kind == "note":
                    held.close()
        return compared

    def _run(self, part: Part) -> str:
        block = _GIVEN.sub("", part.text)
        script = (
            f"set -aeuo pipefail\n[ -f '{self._state}' ] && . '{self._state}'\n{block}\nexport -p > '{self._state}'\n"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        assert done.returncode == 0, f"{self._page.name}:{part.line} ended with {done.returncode}:\n{done.stderr}"
        return done.stdout

    def _lock(self, held: ExitStack, batch_id: int) -> None:
        connection = psycopg2.connect(self._database_url)
        held.callback(connection.close)
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM batches WHERE id = %s FOR UPDATE", (batch_id,))
