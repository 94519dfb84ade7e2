"""Reads ready-made tasks from JSON lines: from disk, in small portions, naming every bad line by its number."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache, partial
from typing import IO, Any

import orjson

from app.domain.answer.endpoints import objection_to_url
from app.domain.answer.json_text import BYTE_ORDER_MARK, too_large_integer, writable_json
from app.domain.connection.abilities import Abilities, Target, is_unknown
from app.errors import Invalid, TooLarge
from app.services.input.bad_lines import BadLine, BadLines, cut
from app.services.input.ready_tasks import ReadyTasks, target_of

LINE_BYTES = 16 * 1024 * 1024
_REMEMBERED = 1_000  # pairs of endpoint and model for which the workers are looked up once
_TOGETHER_LINES, _TOGETHER_BYTES = 1_000, 4 * 1024 * 1024
_LINE = {"custom_id": str, "method": str, "url": str, "body": dict}
_LONGEST = {"custom_id": 500, "method": 10, "url": 500}
# By the byte order mark, or by the zeros that their ASCII characters have.
_OTHER_ENCODINGS = (
    (re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff|[^\0]\0\0\0|\0\0\0[^\0]", re.DOTALL), "UTF-32"),
    (re.compile(rb"\xff\xfe|\xfe\xff|[^\0]\0|\0[^\0]", re.DOTALL), "UTF-16"),
)
Raw = list[tuple[int, bytes]]


Check = Callable[[bytes], Mapping[str, Any]]  # reads a line; raises BadLine


def read_lines(body: IO[bytes], tasks: ReadyTasks, known: Collection[Abilities] = ()) -> None:
    """Read the lines of `body` into `tasks`; `known` is what the known workers can do.

    Raises Invalid, which names bad lines, and TooLarge for a long line.
    """
    no_worker_answers = only_once(known)

    def check(line: bytes) -> Mapping[str, Any]:
        task = _ready_task(line)
        check_workers(task, no_worker_answers)
        return task

    bad = collect_lines(body, tasks, check)
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
    part: Raw = []
    size = 0
    for number, line in enumerate(iter(partial(body.readline, LINE_BYTES + 1), b""), 1):
        if len(line) > LINE_BYTES:
            raise TooLarge(f"Line {number} is longer than {LINE_BYTES} bytes.")
        if line.removeprefix(BYTE_ORDER_MARK).strip():
            part.append((number, line))
            size += len(line)
        if len(part) >= _TOGETHER_LINES or size >= _TOGETHER_BYTES:
            yield part
            part, size = [], 0
    yield part


def only_once(known: Collection[Abilities]) -> Callable[[Target], bool]:
    """Make the function that says whether no known worker has a target; it looks each target up once."""
    return lru_cache(maxsize=_REMEMBERED)(partial(is_unknown, known=known))


def check_workers(line: Mapping[str, Any], no_worker_answers: Callable[[Target], bool]) -> None:
    """Check that a worker may answer a line. Raises BadLine."""
    target = target_of(line)
    if no_worker_answers(target):
        of_model = f" with model {cut(target.model)!r}" if target.model else ""
        message = f"no known worker answers {target.endpoint}{of_model}: start one that does"
        raise BadLine(message, "model_not_found", "body.model")


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
    for name, kind in _LINE.items():
        if not isinstance(data.get(name), kind):
            raise BadLine(f"{name} is missing or of a wrong type")
    for name, longest in _LONGEST.items():
        value = data[name]
        if not 1 <= len(value) <= longest or "\0" in value:
            raise BadLine(f"{name} has to be 1 to {longest} characters")
    if len(data) > len(_LINE):
        raise BadLine(f"unknown fields: {cut(', '.join(sorted(data.keys() - _LINE.keys())))}")
    if objection := objection_to_url(data["url"]):
        raise BadLine(objection)
    if data["body"].get("stream"):
        raise BadLine("body.stream has to be false or left out: answers are not streamed")
    if number := too_large_integer(line):
        raise BadLine(f"has an integer beyond 64 bits, which would lose digits: {cut(number)}; send it as a string")
    return data
