"""A task that kills its worker at each lease does not go round the fleet for ever: activepieces#15130, sidekiq#4633."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.concurrency.conftest import Call
from tests.concurrency.over_http import Caller, answered
from tests.support.process import PythonProcess
from tests.support.server import KEPT_ENVIRONMENT, LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until

MOST_WORKERS = 6


def batch_with_poison(client: Caller) -> int:
    """A batch of two tasks: first a good one, then one that kills."""
    body = {
        "name": "poison",
        "documents": [{"name": "a.txt", "text": "read me"}],
        "prompts": [{"name": "one", "text": "{document}"}],
        "models": [{"connection": "local", "model": "textstats"}, {"connection": "killer", "model": "m"}],
        "options": {"max_attempts": 3, "lease_seconds": 1},
    }
    return int(answered(client.post("/batches", body), 201)["id"])


def stage(client: Caller, batch_id: int) -> None:
    client.act(batch_id, "stage")
    (task,) = client.lease(batch_id=batch_id)
    assert answered(client.complete(task))["batch_state"] == "STAGED"


def run_worker(server: LiveServer, batch_id: int, ended: Any) -> int:
    """Run the real worker until it dies or the batch has ended; return how it ended."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    options = (
        "--concurrency 1 --prefetch 0 --wait-seconds 1 --log-level ERROR --handler killer=tests.concurrency.killer:die"
    )
    command = ("-m", "app.worker", "--url", server.url, "--batch-id", str(batch_id), *options.split())
    environment = {**kept, "INTERLOCK_TOKEN": server.tokens["worker"]}
    with PythonProcess(*command, env=environment, output=Path("/dev/null")) as worker:
        try:
            wait_until(lambda: worker.poll() is not None or ended(), "the end of the worker or of the batch")
            worker.terminate()
            return worker.wait(LIMIT_SECONDS)
        finally:
            worker.kill()


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """One database is enough: what counts here is the worker's process."""
    return postgres_url


def test_a_task_that_kills_its_workers(live_server: LiveServer, call: Call) -> None:
    """Contract 5: a lease that runs out fails the task (code `poisoned`) when its attempts are used up."""
    client = call(live_server)
    batch_id = batch_with_poison(client)
    stage(client, batch_id)
    client.act(batch_id, "run")
    (good,) = client.lease(1, batch_id=batch_id)
    assert good["payload"]["connection"] == "local"
    answered(client.complete(good))

    def ended() -> bool:
        return client.batch(batch_id)["state"] != "ANALYZING"

    endings = []
    while not ended():
        assert len(endings) < MOST_WORKERS
        endings.append(run_worker(live_server, batch_id, ended))
    assert endings.count(-9) == 3
    tasks = {
        task["model"]: task for task in client.get(f"/batches/{batch_id}/tasks")["tasks"] if task["kind"] == "ANALYZE"
    }
    assert (tasks["m"]["status"], tasks["m"]["attempt"], tasks["m"]["error"]["code"]) == ("FAILED", 3, "poisoned")
    assert tasks["textstats"]["status"] == "COMPLETED"
    assert client.batch(batch_id)["state"] == "COMPLETED"
