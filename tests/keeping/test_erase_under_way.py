"""A document is erased while the real worker waits for the model's answer about it: nothing of the answer is kept."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edges.conftest import Edge, worker
from tests.edges.scripted_server import Reply, ScriptedServer
from tests.support.server import SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until

ANSWER = {"choices": [{"message": {"content": "what nobody may keep"}}], "usage": {"prompt_tokens": 7}}


class GatedServer(ScriptedServer):
    """A model server that answers when its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        super().__init__()

    def next_reply(self, path: str, request: bytes) -> Reply:
        reply = super().next_reply(path, request)
        self.gate.wait(LIMIT_SECONDS)
        return reply


@pytest.fixture
def models() -> Iterator[GatedServer]:
    server = GatedServer()
    server.replies = {"secret": [Reply(ANSWER)], "other": [Reply(ANSWER)]}
    yield server
    server.gate.set()
    server.stop()


def test_its_answer_is_not_kept_and_the_worker_goes_on(
    module_servers: SharedServers, models: GatedServer, tmp_path: Path
) -> None:
    service = module_servers("sqlite").server
    with service.session() as http, worker(service, models, tmp_path):
        edge = Edge(service, models, http)
        batch = edge.batch(["secret", "other"])
        wait_until(lambda: len(models.calls) == 2)
        document = batch.list_all("documents")[0]
        erased = http.delete(f"{batch.url}/documents/{document['id']}", timeout=LIMIT_SECONDS)
        assert erased.status_code == 200
        models.gate.set()
        batch.reach("COMPLETED")
        (task,) = (
            each
            for each in batch.list_all("tasks")
            if each["kind"] == "ANALYZE" and each["document"]["id"] == document["id"]
        )

        def late_results() -> list[dict[str, object]]:
            shown = http.get(f"{service.url}/api/tasks/{task['id']}", timeout=LIMIT_SECONDS)
            return list(shown.json()["late_results"])

        wait_until(lambda: bool(late_results()))
        (late,) = late_results()
        assert (late["outcome"], late["result"], late["error"]) == ("completed", None, None)
        assert batch.show()["usage"]["input_tokens"] == 14  # both calls were made, and both are counted
        assert [line["error"] and line["error"]["code"] for line in batch.results()] == ["erased", None]
