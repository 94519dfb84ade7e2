"""JSON lines, one ready-made task each: read from disk, not held in memory, every bad line named by its number."""

from collections.abc import Iterator, Mapping
from typing import IO, Any

import orjson

from app.domain.json_text import writable_json
from app.errors import Invalid, TooLarge
from app.services.input.ready_tasks import ReadyTasks

LINE_BYTES = 16 * 1024 * 1024
MOST_NAMED = 1_000
_SHOWN = 20  # bad lines in the sentence itself
_TOGETHER_LINES, _TOGETHER_BYTES = 1_000, 4 * 1024 * 1024
_LINE = {"custom_id": str, "method": str, "url": str, "body": dict}
_LONGEST = {"custom_id": 500, "method": 10, "url": 500}
_SAID = 200  # characters of a caller's own words in what is said of a line
Raw = list[tuple[int, bytes]]


class _BadLine(Exception):
    """What is wrong with a line, in words."""


class BadLines:
    """The bad lines of a body: the first thousand named, the others counted."""

    def __init__(self) -> None:
        self.count = 0
        self._named: dict[str, list[str]] = {}

    def add(self, found: Mapping[int, str]) -> None:
        """Add the bad lines of a part of the body, each with what is wrong."""
        self.count += len(found)
        for number in sorted(found)[: MOST_NAMED - len(self._named)]:
            self._named[f"line {number}"] = [found[number]]

    def refusal(self) -> Invalid:
        shown = list(self._named)[:_SHOWN]
        more = f" and {self.count - len(shown):,} more" if self.count > len(shown) else ""
        detail = f"Nothing was stored. Bad lines: {', '.join(shown)}{more}."
        return Invalid(detail, errors=self._named, bad_lines=self.count)


def read_lines(body: IO[bytes], tasks: ReadyTasks) -> None:
    """Read the lines of `body` into `tasks`. Raises Invalid with every bad line, TooLarge at one that is too long."""
    bad = BadLines()
    for part in _parts(body):
        good, wrong = [], {}
        for number, line in part:
            try:
                good.append((number, _ready_task(line)))
            except _BadLine as what:
                wrong[number] = str(what)
        for number, custom_id, first in tasks.add(good):
            wrong[number] = f"custom_id {_cut(repr(custom_id))} stands on line {first} already"
        bad.add(wrong)
    if not tasks.count and not bad.count:
        bad.add({1: "there is no task"})
    if bad.count:
        raise bad.refusal()


def _parts(body: IO[bytes]) -> Iterator[Raw]:
    """Walk the lines that are not empty, each with its number, in portions that fit into memory."""
    part: Raw = []
    size = 0
    for number, line in enumerate(iter(lambda: body.readline(LINE_BYTES + 1), b""), 1):
        if len(line) > LINE_BYTES:
            raise TooLarge(f"Line {number} is longer than {LINE_BYTES} bytes.")
        if line.strip():
            part.append((number, line))
            size += len(line)
        if len(part) >= _TOGETHER_LINES or size >= _TOGETHER_BYTES:
            yield part
            part, size = [], 0
    yield part


def _ready_task(line: bytes) -> Mapping[str, Any]:
    try:
        data = writable_json(line)
    except orjson.JSONDecodeError as error:
        raise _BadLine(f"is not JSON: {error}") from error
    except Invalid as refusal:
        raise _BadLine("is nested too deeply") from refusal
    if not isinstance(data, dict):
        raise _BadLine("is not an object")
    for name, kind in _LINE.items():
        value = data.get(name)
        if not isinstance(value, kind):
            raise _BadLine(f"{name} is missing or of a wrong type")
        if isinstance(value, str) and (not value or "\0" in value or len(value) > _LONGEST[name]):
            raise _BadLine(f"{name} has to be 1 to {_LONGEST[name]} characters")
    if unknown := sorted(set(data) - set(_LINE)):
        raise _BadLine(f"unknown fields: {_cut(', '.join(unknown))}")
    return data


def _cut(said: str) -> str:
    return said if len(said) <= _SAID else f"{said[:_SAID]} ..."
