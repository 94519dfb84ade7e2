"""A document is erased while the real worker knows of it: nothing that it has reported, or reports then, is kept."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from app import db
from config import Config
from tests.edges.conftest import Edge, worker
from tests.edges.page_proxy import Page, page_proxy
from tests.edges.scripted_server import Reply, ScriptedServer
from tests.keeping.test_erase import everything_in
from tests.support.batches import Batch
from tests.support.server import Shared, SharedServers
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


def content_of(shared: Shared) -> str:
    """All that the database holds, as text."""
    engine = db.make_engine(Config(database_url=shared.database_url))
    try:
        return everything_in(engine)
    finally:
        engine.dispose()


def erase_first(http: requests.Session, batch: Batch) -> None:
    document = batch.list_all("documents")[0]
    erased = http.delete(f"{batch.url}/documents/{document['id']}", timeout=LIMIT_SECONDS)
    assert erased.status_code == 200


BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@BOTH
def test_an_answer_that_waits_in_the_spool_is_not_kept(
    module_servers: SharedServers, models: GatedServer, tmp_path: Path, kind: str
) -> None:
    shared, secret, spool = module_servers(kind), "what jane wrote in april", tmp_path / "spool"
    answer = {"choices": [{"message": {"content": f"This is {secret}."}}], "usage": {"prompt_tokens": 7}}
    models.replies = {secret: [Reply(answer)]}
    service = shared.server
    with service.session() as http, page_proxy(service.url) as proxy:
        behind = replace(service, url=proxy.url)
        with worker(behind, models, tmp_path, "--spool", str(spool)):
            batch = Edge(service, models, http).batch([secret])
            wait_until(lambda: models.calls[secret] == 1)
            proxy.interfere(Page(502), 10**9, "report", reaching=False)
            models.gate.set()
            wait_until(lambda: any(secret in path.read_text() for path in spool.rglob("*.report")))
            erase_first(http, batch)
            proxy.relent()
            batch.reach("COMPLETED")
            wait_until(lambda: not list(spool.rglob("*.report")))
    assert secret not in content_of(shared)


@BOTH
def test_what_is_said_of_a_connection_quotes_no_document(
    module_servers: SharedServers, models: GatedServer, tmp_path: Path, kind: str
) -> None:
    """A server that refuses everybody and quotes the request: its message goes to circuits and audit trails."""
    shared, secret = module_servers(kind), "a letter that jane wrote in march"
    models.replies = {secret: [Reply({"error": {"message": f"Not for you: <<{secret}>>!"}}, 401)]}
    models.gate.set()
    with shared.server.session() as http, worker(shared.server, models, tmp_path):
        batch = Edge(shared.server, models, http).batch([secret], connection="fresh")
        batch.reach("PAUSED")
        reasons: list[Any] = [batch.list_all("audit")[-1]["reason"], batch.show()["waiting_for"][0]["reason"]]
        shown = http.get(f"{shared.server.url}/api/connections", timeout=LIMIT_SECONDS).json()["connections"]
        reasons += [each["reason"] for each in shown if each["state"] == "closed"]
        assert len(reasons) == 3
        for reason in reasons:
            assert "fresh answers 401: Not for you: [...]!" in reason
        erase_first(http, batch)
        assert secret not in orjson.dumps(batch.list_all("audit")).decode()
    assert secret not in content_of(shared)
