"""Runs commands of `interlock` in this process, on a service that all tests of this folder share."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.command import interlock
from app.commands import service_command
from interlock import Client
from tests.support.receiver import Receiver, running_receiver
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS

Run = Callable[..., Result]
PROMPT = {"name": "summary", "text": "Summarise: {document}"}
ANSWERED = {"connection": "local", "model": "textstats"}
UNANSWERED = {"connection": "nobody", "model": "nothing"}  # no worker can do this: the run waits


@pytest.fixture
def run(
    service_with_worker: LiveServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Run:
    """Run a command as an admin of the service: `run("batches", "list")`, with other settings as keywords."""
    caplog.set_level("WARNING", "httpx")  # the tests' log is on stderr; that of a command's process is not
    monkeypatch.setattr(service_command, "KEPT_TOKEN", tmp_path / "no-token")
    settings = {
        "INTERLOCK_URL": service_with_worker.url,
        "INTERLOCK_TOKEN": service_with_worker.tokens["admin"],
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        **dict.fromkeys(("INTERLOCK_TOKEN_FILE", "INTERLOCK_PROFILE", "INTERLOCK_OUTPUT")),
    }

    def invoke(*words: object, stdin: str | None = None, **environment: str | None) -> Result:
        return CliRunner().invoke(interlock, [str(word) for word in words], input=stdin, env=settings | environment)

    return invoke


@pytest.fixture
def client(service_with_worker: LiveServer) -> Iterator[Client]:
    with Client(service_with_worker.url, service_with_worker.tokens["admin"]) as opened:
        yield opened


@pytest.fixture
def receiver(client: Client) -> Iterator[Receiver]:
    """A receiver of webhooks. What sends to it is deleted after the test."""
    with running_receiver() as running:
        yield running
        for webhook in list(client.webhooks.list()):
            if webhook["url"] == running.url:
                client.webhooks.delete(webhook["id"])


def made(client: Client, name: str, model: dict[str, str] = ANSWERED, amount: int = 2) -> int:
    """Create a batch and return its id."""
    documents = [{"name": f"{number}.txt", "text": f"Document {number} of {name}."} for number in range(amount)]
    return client.create(name, documents=documents, prompts=[PROMPT], models=[model])["id"]


def completed(client: Client, name: str) -> int:
    """See a batch through and return its id."""
    batch_id = made(client, name)
    client.act(batch_id, "stage", context={"run_when_staged": True})
    assert client.wait(batch_id, timeout_seconds=LIMIT_SECONDS)["state"] == "COMPLETED"
    return batch_id


def at_work(client: Client, name: str) -> int:
    """Start a run that waits for a worker that does not come, and return the batch's id."""
    batch_id = made(client, name, UNANSWERED)
    client.act(batch_id, "stage", context={"run_when_staged": True})
    client.wait(batch_id, {"ANALYZING"}, timeout_seconds=LIMIT_SECONDS)
    return batch_id


def lines_of(done: Result) -> list[Any]:
    """Read the JSON lines that a command printed."""
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]
