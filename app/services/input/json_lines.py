"""Reads ready-made tasks from JSON lines: from disk, in small portions, naming every bad line by its number."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import orjson

from app.domain.answer.endpoints import objection_to_url
from app.domain.answer.json_text import BYTE_ORDER_MARK, too_large_integer, writable_json
from app.errors import Invalid, TooLarge
from app.services.input.bad_lines import BadLine, BadLines, cut
from app.services.input.ready_tasks import ReadyTasks

LINE_BYTES = 16 * 1024 * 1024
_READ_BYTES = 1024 * 1024
_TOGETHER = 200  # lines that are checked and added at once: what is made of them stays in the processor's cache
_LONGEST = {"custom_id": 500, "method": 10, "url": 500}
_MEMBERS = len((*_LONGEST, "body"))
# By the byte order mark, or by the zeros that their ASCII characters have.
_OTHER_ENCODINGS = (
    (re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff|[^\0]\0\0\0|\0\0\0[^\0]", re.DOTALL), "UTF-32"),
    (re.compile(rb"\xff\xfe|\xfe\xff|[^\0]\0|\0[^\0]", re.DOTALL), "UTF-16"),
)
Raw = list[tuple[int, bytes]]


Check = Callable[[bytes], Mapping[str, Any]]  # reads a line; raises BadLine


def read_lines(body: IO[bytes], tasks: ReadyTasks) -> None:
    """Read the lines of `body` into `tasks`. Raises Invalid, which names bad lines, and TooLarge for a long line."""
    bad = collect_lines(body, tasks, _ready_task)
    if bad.count:
        raise bad.refusal()


def collect_lines(body: IO[bytes], tasks: ReadyTasks, check: Check) -> BadLines:
    """Read the lines that `check` takes into `tasks`; return the others. Raises Invalid, TooLarge for a long line."""
    _refuse_other_encodings(body)
    bad = BadLines()
    for part in _parts(body):
        good, wrong = [], {}
        for number, line in part:
            try:
                good.append((number, check(line)))
            except BadLine as error:
                wrong[number] = error
        bad.add(wrong | tasks.add(good))
    for repeated in tasks.repeated():
        bad.add(repeated)
    if not tasks.count and not bad.count:
        bad.add({1: BadLine("the body has no task", "empty_file")})
    return bad


def _refuse_other_encodings(body: IO[bytes]) -> None:
    """Refuse UTF-16 and UTF-32 in one sentence: each of their lines would be a bad line. Raises Invalid."""
    begin = body.read(4)
    body.seek(0)
    if name := next((name for pattern, name in _OTHER_ENCODINGS if pattern.match(begin)), None):
        errors = {"line 1": [f"is in {name}, not in UTF-8"]}
        raise Invalid(f"The body is in {name}; send it in UTF-8. Nothing was stored.", errors=errors)


def _parts(body: IO[bytes]) -> Iterator[Raw]:
    """Iterate over the lines that are not empty, with their numbers, in portions that fit into memory."""
    first = 1
    for lines in _lines(body):
        for begin in range(0, len(lines), _TOGETHER):
            part = list(enumerate(lines[begin : begin + _TOGETHER], first + begin))
            if number := next((number for number, line in part if len(line) > LINE_BYTES), None):
                raise TooLarge(f"Line {number} is longer than {LINE_BYTES} bytes.")
            yield [each for each in part if each[1].removeprefix(BYTE_ORDER_MARK).strip()]
        first += len(lines)


def _lines(body: IO[bytes]) -> Iterator[list[bytes]]:
    """Iterate over all lines; one that is too long is the last, and may be only the beginning of it."""
    rest = b""
    while len(rest) <= LINE_BYTES and (read := body.read(_READ_BYTES)):
        *lines, rest = (rest + read).split(b"\n")
        yield lines
    yield [rest]


def parsed(line: bytes) -> dict[str, Any]:
    """Read the JSON object of a line. Raises BadLine."""
    try:
        data = writable_json(line)
    except orjson.JSONDecodeError as error:
        raise BadLine(f"is not JSON: {error}") from error
    except Invalid as refusal:
        raise BadLine(str(refusal.facts["errors"]["_schema"][0])) from refusal
    if not isinstance(data, dict):
        raise BadLine("is not an object")
    return data


def _ready_task(line: bytes) -> Mapping[str, Any]:
    data = parsed(line)
    for name, longest in _LONGEST.items():
        value = data.get(name)
        if not isinstance(value, str):
            raise BadLine(f"{name} is missing or of a wrong type")
        if not 0 < len(value) <= longest or "\0" in value:
            raise BadLine(f"{name} has to be 1 to {longest} characters")
    if not isinstance(body := data.get("body"), dict):
        raise BadLine("body is missing or of a wrong type")
    if len(data) > _MEMBERS:
        raise BadLine(f"unknown fields: {cut(', '.join(sorted(data.keys() - {*_LONGEST, 'body'})))}")
    if objection := objection_to_url(data["url"]):
        raise BadLine(objection)
    if body.get("stream"):
        raise BadLine("body.stream has to be false or left out: answers are not streamed")
    if number := too_large_integer(line):
        raise BadLine(f"has an integer beyond 64 bits, which would lose digits: {cut(number)}; send it as a string")
    return data
