"""Unmodified clients of OpenAI's API, each as a program of its own, whose address and key are in its environment.

The service and the worker are real; the model server is not ours.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.foreign_server import foreign_server
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS
from tests.v1.lines import CHAT, line
from tests.v1.real_worker import real_worker

PROGRAMS = Path(__file__).parent / "clients"
NODE_MODULES = Path(sys.prefix) / "node" / "node_modules"  # `make test` installs them
LINES = [line(f"q{number}") for number in range(12)]
CONTENT = b"".join(orjson.dumps(each) + b"\n" for each in LINES).decode()
Saw = dict[str, Any]


def python(program: str) -> list[str]:
    return [sys.executable, "-W", "default", str(PROGRAMS / program)]


COMMANDS = {
    "python": python("python_sync.py"),
    "python, async": python("python_async.py"),
    "node": [str(Path(sys.executable).parent / "node"), str(PROGRAMS / "node.cjs")],
    "litellm": python("lite_llm.py"),
}
WITH_UPLOADS = [name for name in COMMANDS if name != "litellm"]


@pytest.fixture(scope="module")
def server(module_servers: SharedServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The service, with a worker and a model server."""
    running, folder = module_servers("postgresql").server, tmp_path_factory.mktemp("clients")
    with foreign_server(folder) as models, real_worker(running, models.url, folder):
        yield running


@pytest.fixture(scope="module")
def runs(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give what a client's program saw; it is run once."""
    path = tmp_path_factory.mktemp("input") / "in.jsonl"
    path.write_text(CONTENT)
    settings = {
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": server.tokens["operator"],
        "NODE_PATH": str(NODE_MODULES),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches a list of prices when it is imported
    }

    @cache
    def run(client: str) -> Saw:
        done = subprocess.run(
            [*COMMANDS[client], str(path)], env={**os.environ, **settings}, capture_output=True, timeout=LIMIT_SECONDS
        )
        assert done.returncode == 0, done.stderr.decode()
        saw: Saw = json.loads(done.stdout.splitlines()[-1])
        return saw

    return run


@pytest.fixture(params=COMMANDS)
def saw(request: pytest.FixtureRequest, runs: Any) -> Saw:
    """What the program of a client saw."""
    found: Saw = runs(request.param)
    return found


def test_upload(saw: Saw) -> None:
    file = saw["file"]
    assert (file["object"], file["purpose"], file["status"]) == ("file", "batch", "processed")
    assert (file["filename"], file["bytes"]) == ("in.jsonl", len(CONTENT))


def test_content_of_the_input(saw: Saw) -> None:
    assert saw["content"] == CONTENT


def test_create_and_retrieve_until_completed(saw: Saw) -> None:
    batch = saw["batch"]
    assert (batch["status"], batch["endpoint"], batch["input_file_id"]) == ("completed", CHAT, saw["file"]["id"])
    counts = batch["request_counts"]
    assert (counts["total"], counts["completed"], counts["failed"]) == (len(LINES), len(LINES), 0)
    assert batch["metadata"] == {"by": "a test"}


def test_content_of_the_output(saw: Saw) -> None:
    answers = [json.loads(each) for each in saw["output"].splitlines()]
    assert [each["custom_id"] for each in answers] == [each["custom_id"] for each in LINES]
    assert {each["response"]["status_code"] for each in answers} == {200}
    texts = {each["response"]["body"]["choices"][0]["message"]["content"] for each in answers}
    assert texts == {"Mock response from m."}


def test_cancel(saw: Saw) -> None:
    _, at_once, at_the_end = saw["cancelled"]
    assert at_once in ("cancelling", "cancelled")  # its files may be made before the client looks
    assert at_the_end == "cancelled"


def test_list_of_batches_in_two_pages(saw: Saw) -> None:
    assert saw["batches"] == [saw["cancelled"][0], saw["batch"]["id"]]


def test_list_of_files(saw: Saw) -> None:
    first, second = saw["files"]
    assert first != second
    assert first.startswith("file-")


def test_delete(saw: Saw) -> None:
    assert saw["deleted"] is True


@pytest.mark.parametrize("client", WITH_UPLOADS)
def test_upload_in_parts(runs: Any, client: str) -> None:
    assert runs(client)["upload"] == {"status": "completed", "content": CONTENT}
