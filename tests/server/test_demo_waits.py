"""A demo that cannot go on: it prints what the tasks wait for, and says so when it gives up."""

from io import StringIO
from typing import Any

import pytest
import requests
from rich.console import Console

from app.demo import batch as demo
from app.demo.client import Client, DemoFailed
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS


@pytest.fixture
def live_server(database_url: str, module_servers: SharedServers) -> LiveServer:
    return module_servers(database_url.partition(":")[0]).server


@pytest.fixture(autouse=True)
def _gives_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SHOWN_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(demo, "UNCHANGED_SECONDS", 0.0)


def post(http: requests.Session, url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(url, json=body, timeout=LIMIT_SECONDS)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_demo_says_what_its_tasks_wait_for(live_server: LiveServer) -> None:
    url, printed = live_server.url, StringIO()
    console = Console(file=printed, width=1_000)
    nobody = (
        f"No worker seems to be running that can stage documents: start one with `python -m app.worker --url {url}`."
    )
    with Client(url, live_server.tokens["operator"]) as client, live_server.session("worker") as worker:
        batch = demo.find_or_create(client, console)
        with pytest.raises(DemoFailed) as gave_up:
            demo.complete(client, batch, console)
        assert nobody in str(gave_up.value)
        assert printed.getvalue().count(nobody) == 1

        lease = {"worker": "w", "max_tasks": 1000, "batch_id": batch["id"], "can": ["stage", "local/*"]}
        for task in post(worker, f"{url}/api/tasks/lease", lease)["tasks"]:
            done = {"lease_token": task["lease_token"], "result": {"text": task["payload"]["text"]}}
            post(worker, f"{url}/api/tasks/{task['id']}/complete", done)
        call = {"connection": "local", "outcome": "failed", "class": "outage", "message": "nobody answers"}
        post(worker, f"{url}/api/connections", {"worker": "w", "connections": [call]})
        with pytest.raises(DemoFailed) as gave_up:
            demo.complete(client, batch, console)
    assert "The connection local is closed (outage) since 20" in str(gave_up.value)
    assert "nobody answers. Its tasks wait until 20" in str(gave_up.value)
    assert str(gave_up.value).partition("too long. ")[2] in printed.getvalue()


def test_a_demo_that_its_connection_has_paused_says_so(live_server: LiveServer) -> None:
    closed = {"kind": "ANALYZE", "connection": "local", "model": None, "endpoint": None, "class": "access"}
    when = {"reason": "a wrong key", "since": "2026-01-01T00:00:00Z", "next_try_at": "2026-01-01T00:01:00Z"}
    batch = {"id": 1, "state": "PAUSED", "allowed_actions": ["resume"], "waiting_for": [{**closed, **when}]}
    with Client(live_server.url, "") as client:
        assert demo.why_unchanged(client, batch).endswith(
            "The connection local is closed (access) since 2026-01-01T00:00:00Z: a wrong key. "
            "Its tasks wait until 2026-01-01T00:01:00Z. Start the demo again to resume it."
        )
