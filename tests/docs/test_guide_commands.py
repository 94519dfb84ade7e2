"""Each curl call of the guides of operators and of webhooks has its command beside it; both make the same call."""

import json
import re
import shlex
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from app.command import interlock
from tests.docs.blocks import Part, parts_of
from tests.support.process import ROOT

GUIDES = [ROOT / "docs" / name for name in ("operators.md", "webhooks.md")]
VARIABLES = {"BATCH": "1", "LIMITED": "2", "TASK": "3", "JANE": "4", "LEASE": "x"}
COMMAND = re.compile(r"^# (interlock .+)$", re.M)
# What an answer needs, so that a command goes on.
ANSWER = {
    **{noun: [] for noun in ("batches", "documents", "actions", "requests", "audit", "tasks", "tokens")},
    "next_cursor": None, "id": 1, "batch_id": 1, "name": "x", "version": 1, "state": "SAVED", "success": True,
    "batch": {"state": "SAVED", "name": "x"}, "new_state": "SAVED", "replayed": 1,
}  # fmt: skip


def filled_in(text: str) -> str:
    return re.sub(r"\$(\w+)", lambda found: VARIABLES.get(found[1], found[0]), text)


def calls() -> Iterator[Part]:
    """The blocks of the guides with a `curl -i`; a worker's report has no command."""
    for part in chain.from_iterable(map(parts_of, GUIDES)):
        if part.kind == "sh" and "curl -i " in part.text and "/complete" not in part.text:
            yield part


CALLS = list(calls())


def curl_of(part: Part) -> tuple[str, str, Any]:
    """Read the method, the path and the JSON body of the curl in a block; the body is None where it is of a file."""
    text = filled_in(part.text[part.text.index("curl -i ") :].replace("\\\n", " ").partition("<<")[0])
    words = shlex.split(text)
    body = next((words[at + 1] for at, word in enumerate(words) if word == "-d"), None)
    given = next((words[at + 1] for at, word in enumerate(words) if word == "-X"), None)
    (address,) = [word for word in words if word.startswith("$URL")]
    sends = body is not None or any(word in words for word in ("-F", "--data-binary"))
    is_json = body is not None and body.startswith("{")
    return given or ("POST" if sends else "GET"), address.removeprefix("$URL"), json.loads(body) if is_json else None


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """The calls that a command makes; each has an answer of no meaning."""
    made: list[tuple[str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        content = request.read()
        is_json = request.headers.get("Content-Type") == "application/json"
        made.append((request.method, request.url.path, json.loads(content) if is_json else None))
        return httpx.Response(200, json=ANSWER)

    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **more: client(**more, transport=httpx.MockTransport(answer)))
    return made


def files(curl_body: Any, folder: Path) -> None:
    """Lay down the files that the commands of the guide read."""
    for name in ("batch.json", "documents.json"):
        (folder / name).write_text(json.dumps(curl_body or {}))
    (folder / "slack-url").write_text((curl_body or {}).get("url", ""))
    for name in ("b.txt", "tasks.jsonl"):
        (folder / name).write_text("one line")
    (folder / "examples").symlink_to(ROOT / "examples")


@pytest.mark.parametrize("part", CALLS, ids=[str(part.line) for part in CALLS])
def test_the_command_makes_the_same_call(
    part: Part, sent: list[tuple[str, str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, address, body = curl_of(part)
    command = COMMAND.search(part.text)
    assert command, f"line {part.line}: the curl has no command above it"
    files(body, tmp_path)
    monkeypatch.chdir(tmp_path)
    environment = {"INTERLOCK_URL": "http://127.0.0.1:1", "INTERLOCK_TOKEN": "x", "XDG_CONFIG_HOME": str(tmp_path)}
    done = CliRunner().invoke(interlock, shlex.split(filled_in(command[1]))[1:], env=environment)
    assert done.exit_code == 0, done.output
    made = [(verb, path) for verb, path, _ in sent]
    assert (method, address.partition("?")[0]) in made
    if body is not None:
        assert any(_is_same(body, other) for *_, other in sent), sent


def _is_same(wanted: Any, found: Any) -> bool:
    """Whether two bodies ask for the same: what is empty asks for nothing."""
    return isinstance(found, dict) and _asked(wanted) == _asked(found)


def _asked(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value not in ({}, None)}


def test_there_are_many() -> None:
    assert len(CALLS) > 40
