"""The worker process with connections: leases survive long waits, rate limits hold, keys do not leak."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import ROOT
from tests.support.waiting import LIMIT_SECONDS
from tests.worker.conftest import WORKER_LOG, StartWorker
from tests.worker.connections.conftest import KEY
from tests.worker.connections.model_server import MisbehavingServer
from tests.worker.fake_service import FakeService


@pytest.fixture
def connections(tmp_path: Path, model_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with three connections to the model server: with 1, 120 and 6000 requests per minute."""
    monkeypatch.setenv("LAB_KEY", KEY)
    path = tmp_path / "connections.toml"
    path.write_text(f"""
        jsonl = "quick"
        [slow]
        base_url = "{model_server.url}"
        requests_per_minute = 1
        [lab]
        base_url = "{model_server.url}"
        api_key_env = "LAB_KEY"
        requests_per_minute = 120
        models = {{ "*" = {{ input = 1, output = 1 }} }}
        [quick]
        base_url = "{model_server.url}"
        api_key_env = "LAB_KEY"
        requests_per_minute = 6000
        models = {{ "*" = {{ input = 1, output = 1 }} }}
    """)
    return path


def test_a_wait_longer_than_the_lease_costs_no_attempt(
    service: FakeService, start_worker: StartWorker, connections: Path, model_server: MisbehavingServer
) -> None:
    service.lease_seconds = 1.5
    service.add(8, connection="lab", model="m", messages=[{"role": "user", "content": "Hi."}])
    start_worker("--connections", str(connections))
    service.wait_until_finished()
    assert service.statuses() == {"COMPLETED": 8}
    assert {task.attempt for task in service.tasks.values()} == {1}
    assert len(model_server.calls) == 8
    assert service.calls["heartbeat"]  # they waited for longer than a lease lasts without a heartbeat


def test_who_waits_for_a_slow_connection_holds_its_own_seat_alone(
    service: FakeService, start_worker: StartWorker, connections: Path
) -> None:
    prompt = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}
    slow = service.add(4, connection="slow", **prompt)
    others = service.add(4, connection="quick", **prompt)
    start_worker("--connections", str(connections), "--concurrency", "4")
    service.wait_for(lambda: service.tasks[slow[0]].status == "COMPLETED")
    # Three of the four threads wait for the slow connection; the fourth does all other tasks.
    service.wait_for(lambda: all(service.tasks[number].status == "COMPLETED" for number in others))
    assert sum(service.tasks[number].status == "COMPLETED" for number in slow) == 1


def test_the_end_hands_back_who_waits(service: FakeService, start_worker: StartWorker, connections: Path) -> None:
    service.add(3, connection="slow", model="m", messages=[{"role": "user", "content": "Hi."}])
    process = start_worker("--connections", str(connections), "--grace-seconds", "1")
    service.wait_for(lambda: service.statuses().get("COMPLETED") == 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_SECONDS) == 0
    assert service.statuses() == {"COMPLETED": 1, "QUEUED": 2}
    assert sum(task.attempt for task in service.tasks.values()) == 1


def test_the_key_is_in_no_log_and_no_report(
    service: FakeService,
    start_worker: StartWorker,
    connections: Path,
    model_server: MisbehavingServer,
    tmp_path: Path,
) -> None:
    model_server.order((401, {"error": {"message": f"Not a key: {KEY}"}}), "cut", (400, {"error": {"message": KEY}}))
    service.add(5, custom_id="a", method="POST", url="/v1/chat/completions", body={"model": "m", "messages": []})
    process = start_worker("--connections", str(connections), "--log-level", "DEBUG", "--concurrency", "1")
    service.wait_until_finished()
    process.send_signal(signal.SIGTERM)
    process.wait(LIMIT_SECONDS)
    output = (tmp_path / WORKER_LOG).read_text()
    assert [headers["authorization"] for _, headers, _ in model_server.calls] == [f"Bearer {KEY}"] * 7
    assert "worker_started" in output
    assert KEY not in output
    assert KEY not in str(service.calls)
    assert "[hidden]" in str(service.calls["report"])
    assert "[hidden]" in str(service.calls["connections"])


def test_the_file_in_the_working_folder_is_taken_by_itself(connections: Path) -> None:
    connections.write_text("[lab]\nbase_uri = 3")
    settings = {k: v for k, v in os.environ.items() if not k.startswith("INTERLOCK_")}
    done = subprocess.run(
        [sys.executable, "-m", "app.worker", "--token", "t"],
        cwd=connections.parent, env={**settings, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=LIMIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 2
    assert "lab.base_uri: is not a field of a connection" in done.stderr
    assert "Traceback" not in done.stderr
