"""A client on the running service, and bodies of batches."""

from collections.abc import Iterator
from typing import Any

import pytest

from interlock import Client
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS

PROMPT = {"name": "summary", "text": "Summarise: {document}"}
ANSWERED = {"connection": "local", "model": "textstats"}
UNANSWERED = {"connection": "nobody", "model": "nothing"}  # no worker can do this: the run waits


def body(name: str, amount: int = 3, model: dict[str, str] = ANSWERED) -> dict[str, Any]:
    documents = [{"name": f"{number}.txt", "text": f"Document number {number}."} for number in range(amount)]
    return {"name": name, "documents": documents, "prompts": [PROMPT], "models": [model]}


@pytest.fixture
def client(service_with_worker: LiveServer) -> Iterator[Client]:
    with Client(service_with_worker.url, service_with_worker.tokens["admin"]) as opened:
        yield opened


def completed(client: Client, name: str, amount: int = 3) -> int:
    """See a batch through and return its id."""
    batch = client.create(**body(name, amount))
    client.act(batch["id"], "stage", context={"run_when_staged": True})
    assert client.wait(batch["id"], timeout_seconds=LIMIT_SECONDS)["state"] == "COMPLETED"
    return batch["id"]
