"""Model servers that cannot be used, through the real service and a real worker: no task loses an attempt."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.edges.failing_server import FailingServer
from tests.edges.lab import Lab, attempts, running_lab
from tests.support.batches import Batch
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import wait_until

DOCUMENTS = 20
GOOD_CALLS = 5
WAYS: dict[str, Any] = {"refuses": "refuse", "resets": "reset", "hangs": "hang", "500": 500, "503": 503, "429": 429}
REFUSALS: dict[str, tuple[int, dict[str, Any], str]] = {  # status, error and class of every call
    "401": (401, {"message": "Incorrect API key provided."}, "access"),
    "quota": (429, {"message": "You exceeded your quota.", "code": "insufficient_quota"}, "access"),
    "unknown": (404, {"message": "The model m does not exist.", "code": "model_not_found"}, "model"),
}


StartLab = Callable[..., Lab]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, module_servers: SharedServers) -> LiveServer:
    return module_servers(request.param).server


@pytest.fixture
def start_lab(service: LiveServer, tmp_path: Path) -> Iterator[StartLab]:
    with ExitStack() as running:
        yield lambda **servers: running.enter_context(running_lab(service, tmp_path, servers, "--concurrency", "16"))


def pause_of(batch: Batch) -> dict[str, Any]:
    batch.reach("PAUSED")
    pause = batch.list_all("audit")[-1]
    assert (pause["trigger"], pause["actor"]) == ("pause", "system:connection")
    return pause


def waits_of(batch: Batch) -> tuple[set[str], set[str]]:
    """Read at one moment for which connections a batch waits, and why; one that is tried just now is not there."""
    waits = batch.show()["waiting_for"]
    return {each["connection"] for each in waits}, {each["class"] for each in waits}


def test_an_outage_costs_no_task_and_no_attempt(start_lab: StartLab) -> None:
    """Six servers fail in the middle of a batch, each in its own way; a seventh goes on."""
    servers = {name: FailingServer(way, GOOD_CALLS) for name, way in WAYS.items()}
    lab = start_lab(**servers, steady=FailingServer())
    batch = lab.batch([f"document {number}" for number in range(DOCUMENTS)], [*WAYS, "steady"])
    wait_until(lambda: {name for name, row in lab.circuits().items() if row["state"] == "closed"} == set(WAYS))
    wait_until(lambda: len(lab.servers["steady"].calls) == DOCUMENTS)
    wait_until(lambda: waits_of(batch) == (set(WAYS), {"outage", "rate_limit"}), lambda: str(waits_of(batch)))
    for server in servers.values():
        wait_until(lambda server=server: server.at_once <= 1)
        server.most_at_once, server.failed = 0, 0
    lab.wait_for_failures(list(WAYS), 2)
    for server in servers.values():
        assert server.most_at_once <= 1
    for server in servers.values():
        server.recover()
    batch.reach("COMPLETED")
    assert attempts(batch) == {("COMPLETED", 1)}
    assert lab.circuits() == {}
    assert [row["actor"] for row in batch.list_all("audit") if row["actor"].startswith("system:conn")] == []
    log = lab.worker_log.read_text()
    assert {name for name in WAYS if f'"connection":"{name}"' in log} == set(WAYS)
    assert {"connection_closed", "connection_open"} <= {
        event for event in log.split('"') if event[:11] == "connection_"
    }


def test_a_connection_that_lets_nobody_in_pauses_its_batch_after_a_few_calls(start_lab: StartLab) -> None:
    servers = {name: FailingServer((status, {"error": error})) for name, (status, error, _) in REFUSALS.items()}
    lab = start_lab(**servers, steady=FailingServer())
    names = [f"document {number}" for number in range(40)]
    batches = {name: lab.batch(names, [name, "steady"]) for name in REFUSALS}
    for name, batch in batches.items():
        reason = pause_of(batch)["reason"]
        assert REFUSALS[name][1]["message"] in reason
        assert 1 <= servers[name].calls.total() <= 10
        assert attempts(batch) == {("COMPLETED", 1), ("QUEUED", 0)}
        assert len([row for row in batch.results() if row["status"] == "COMPLETED"]) == 40
        assert [each["class"] for each in batch.show()["waiting_for"]] == [REFUSALS[name][2]]
    for server in servers.values():
        server.recover()
    for batch in batches.values():
        batch.ask("resume")
    for batch in batches.values():
        batch.reach("COMPLETED")
        assert attempts(batch) == {("COMPLETED", 1)}


def test_a_document_that_breaks_the_server_fails_and_no_other_does(start_lab: StartLab) -> None:
    server = FailingServer(500, latency_seconds=0.05)
    server.only = "poison"
    lab = start_lab(lab=server)
    names = ["poison", *(f"document {number}" for number in range(60))]
    batch = lab.batch(names, ["lab"], max_attempts=2)
    batch.reach("COMPLETED")
    rows = {row["document"]["name"]: row for row in batch.results() if row["prompt"]}
    poison = rows.pop("poison")
    assert (poison["status"], poison["attempt"], poison["error"]["code"]) == ("FAILED", 2, "server_error")
    assert {(row["status"], row["attempt"]) for row in rows.values()} == {("COMPLETED", 1)}


@pytest.mark.parametrize("status", [429, 503])
def test_the_connection_waits_out_a_long_retry_after_and_not_the_task(start_lab: StartLab, status: int) -> None:
    server = FailingServer((status, {"error": {"message": "Come back tomorrow."}}, {"Retry-After": "80000"}))
    lab = start_lab(**{f"later {status}": server})
    batch = lab.batch(["a", "b", "c"], [f"later {status}"], pause_after_outage_seconds=0)
    assert "Come back tomorrow" in pause_of(batch)["reason"]
    assert attempts(batch) == {("QUEUED", 0)}
    assert server.calls.total() <= 4
    (waiting,) = batch.show()["waiting_for"]
    assert waiting["next_try_at"] > waiting["since"]
    server.recover()
    batch.ask("resume")
    batch.reach("COMPLETED")
    assert attempts(batch) == {("COMPLETED", 1)}
