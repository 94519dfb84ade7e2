"""POST /api/tasks/lease."""

import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from app.services import Services
from app.services.queue import task_queue
from tests.api.calls import UNKNOWN
from tests.api.lives import act, answered, bring, complete, create_ready, lease, refused, show
from tests.support.client import ApiClient
from tests.support.moments import is_from, now
from tests.support.waiting import LIMIT_SECONDS


def run_out(service: Services, task_id: str) -> None:
    """Move a lease into the past."""
    with service.engine.begin() as connection:
        past = "now() - interval '1 second'" if service.engine.dialect.name == "postgresql" else "'2020-01-01 00:00:00'"
        connection.execute(text(f"UPDATE tasks SET lease_expires_at = {past} WHERE id = :id"), {"id": int(task_id)})


def test_a_staging_task(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: the eight fields of a leased task; a STAGE payload holds the document and its text."""
    batch = bring(client, "STAGING", documents=1)
    began = now()
    task = lease(worker, batch["id"])[0]
    assert is_from(began, 60, task.pop("lease_expires_at"))
    token = task.pop("lease_token")
    assert isinstance(token, str)
    assert 8 <= len(token) <= 64
    assert isinstance(task.pop("id"), str)
    document = task["payload"]["document"]
    assert isinstance(document.pop("id"), int)
    assert task == {
        "batch_id": batch["id"],
        "run": 1,
        "kind": "STAGE",
        "attempt": 1,
        "payload": {"document": {"name": "0.txt", "media_type": "text/plain"}, "text": "text 0"},
    }


def test_an_analysis_task(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: an ANALYZE payload holds document, prompt, connection, model, params and rendered messages."""
    models = [{"connection": "local", "model": "textstats", "params": {"temperature": 0.5}}]
    prompts = [{"name": "sum", "text": "Summarise {name}:\n\n{document}"}, {"name": "plain", "text": "Translate."}]
    batch = bring(client, "ANALYZING", documents=1, models=models, prompts=prompts)
    tasks = lease(worker, batch["id"])
    assert [(task["kind"], task["run"], task["attempt"]) for task in tasks] == [("ANALYZE", 1, 1)] * 2
    payloads = [task["payload"] for task in tasks]
    for payload in payloads:
        assert isinstance(payload["document"].pop("id"), int)
    common = {
        "document": {"name": "0.txt"},
        "connection": "local",
        "model": "textstats",
        "params": {"temperature": 0.5},
    }
    assert payloads == [
        {
            **common,
            "prompt": "sum",
            "messages": [{"role": "user", "content": "Summarise 0.txt:\n\nread"}],
        },
        {**common, "prompt": "plain", "messages": [{"role": "user", "content": "Translate.\n\nread"}]},
    ]


def test_every_document_times_prompt_times_model(client: ApiClient, worker: ApiClient) -> None:
    """Contract 1: each document x prompt x model is one task."""
    prompts = [{"name": f"p{n}", "text": "{document}"} for n in range(2)]
    models = [{"connection": "c", "model": f"m{n}"} for n in range(3)]
    batch = bring(client, "ANALYZING", documents=2, prompts=prompts, models=models)
    seen = Counter(
        (p["document"]["name"], p["prompt"], p["model"])
        for p in (task["payload"] for task in lease(worker, batch["id"]))
    )
    assert len(seen) == 12
    assert set(seen.values()) == {1}


def test_only_worker_is_required(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: in `lease`, only `worker` is required; one task for the batch's own lease time then."""
    bring(client, "STAGING", documents=3, options={"lease_seconds": 600})
    began = now()
    tasks = answered(worker.post("/api/tasks/lease", json={"worker": "w"}))["tasks"]
    assert len(tasks) == 1
    assert is_from(began, 600, tasks[0]["lease_expires_at"])
    assert "worker" in refused(worker.post("/api/tasks/lease", json={}), 422)["errors"]


def test_in_bulk(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: `max_tasks` is up to 1000; each task once, with a token of its own."""
    batch = create_ready(client, tasks=1_100)
    act(client, batch["id"], "stage")
    client.application.extensions["interlock"].sweeper.sweep()  # the second slice of tasks
    act(client, batch["id"], "run")
    first = lease(worker, batch["id"], most=1000)
    second = lease(worker, batch["id"], most=1000)
    assert (len(first), len(second)) == (1000, 100)
    assert len({task["id"] for task in first + second}) == 1_100
    assert len({task["lease_token"] for task in first + second}) == 1_100


def test_lease_seconds_of_the_call(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: `lease_seconds` says how long."""
    batch = bring(client, "STAGING", documents=1)
    began = now()
    task = lease(worker, batch["id"], lease_seconds=7200)[0]
    assert is_from(began, 7200, task["lease_expires_at"])


def test_of_one_batch(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: `batch_id` names the one batch to lease from."""
    one, two = (bring(client, "STAGING", documents=2) for _ in range(2))
    assert {task["batch_id"] for task in lease(worker, two["id"])} == {two["id"]}
    assert show(client, one["id"])["progress"]["staging"]["completed"] == 0
    assert lease(worker, two["id"]) == []
    assert len(lease(worker, one["id"])) == 2


def test_empty_when_there_is_nothing(worker: ApiClient, client: ApiClient) -> None:
    """Contract 5: empty when there is nothing to do; a batch that is not there has nothing to do."""
    assert lease(worker) == []
    assert lease(worker, UNKNOWN) == []
    bring(client, "SAVED")
    assert lease(worker) == []


@pytest.mark.parametrize("state", ["SAVED", "STAGED", "PAUSED", "COMPLETED", "FAILED"])
def test_only_staging_and_analyzing_batches_are_leased(client: ApiClient, state: str) -> None:
    """Contract 5: only tasks of a STAGING batch (STAGE) or an ANALYZING batch (ANALYZE) are leased."""
    batch = bring(client, state)
    assert lease(client) == []
    assert lease(client, batch["id"]) == []


def test_batches_take_turns(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: a batch of many tasks does not make a batch of few wait."""
    big, small = bring(client, "STAGING", documents=60), bring(client, "STAGING", documents=3)
    seen = Counter(task["batch_id"] for _ in range(8) for task in lease(worker, most=1))
    assert seen[small["id"]] == 3
    assert seen[big["id"]] == 5


def test_priority_weighs_turns(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: `priority` weighs turns: p + 1 leases to one, none starves."""
    plain = bring(client, "STAGING", documents=40)
    urgent = bring(client, "STAGING", documents=40, options={"priority": 3})
    seen = Counter(task["batch_id"] for _ in range(25) for task in lease(worker, most=1))
    assert seen[urgent["id"]] == 20
    assert seen[plain["id"]] == 5


@pytest.mark.soak(rounds=25)
def test_two_leases_never_hold_the_same_task(client: ApiClient) -> None:
    """Contract 5: a lease is one worker's alone, however many ask at once."""
    batch = bring(client, "STAGING", documents=40)
    begin, leased = threading.Barrier(4), []
    callers = [client.acting_as("worker") for _ in range(4)]

    def ask(caller: ApiClient) -> None:
        begin.wait(LIMIT_SECONDS)
        for _ in range(10):
            leased.extend(task["id"] for task in lease(caller, batch["id"], most=2))

    threads = [threading.Thread(target=ask, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert len(leased) == len(set(leased)) == 40


def test_a_waiting_lease_returns_when_work_comes(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 5: with `wait_seconds` the call waits for the first task. Here its time never ends."""
    monkeypatch.setattr(task_queue, "time", SimpleNamespace(monotonic=lambda: 0.0, time_ns=time.time_ns))
    waiter, got, waiting = client.acting_as("worker"), [], threading.Event()
    queue = client.application.extensions["interlock"].queue
    look = queue._lease

    def watched(*args: object) -> object:
        found = look(*args)
        waiting.set()
        return found

    queue._lease = watched
    thread = threading.Thread(target=lambda: got.extend(lease(waiter, wait_seconds=30)))
    thread.start()
    assert waiting.wait(LIMIT_SECONDS)
    batch = bring(client, "STAGING", documents=1)
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive(), "it waits on"
    assert [task["batch_id"] for task in got] == [batch["id"]]


def test_a_wait_without_work_ends(worker: ApiClient) -> None:
    """Contract 5: `wait_seconds` is at most 30; without work the answer is empty when it is over."""
    assert lease(worker, wait_seconds=0.5) == []


def test_a_lease_that_ran_out_is_put_back(client: ApiClient, service: Services) -> None:
    """Contract 5: a lease that runs out puts the task back; the next lease is the next attempt."""
    batch = bring(client, "STAGING", documents=1)
    first = lease(client, batch["id"])[0]
    assert lease(client, batch["id"]) == []
    run_out(service, first["id"])
    service.sweeper.sweep()
    second = lease(client, batch["id"])[0]
    assert (second["id"], second["attempt"]) == (first["id"], 2)
    assert second["lease_token"] != first["lease_token"]
    refused(complete(client, first), 409)
    assert complete(client, second).status_code == 200


def test_a_task_that_kills_its_workers_is_poisoned(client: ApiClient, service: Services) -> None:
    """Contract 5: a lease that runs out fails the task (code `poisoned`) when its attempts are used up."""
    batch = bring(client, "ANALYZING", documents=2, options={"max_attempts": 2})
    good, bad = lease(client, batch["id"])
    complete(client, good)
    for attempt in (1, 2):
        assert bad["attempt"] == attempt
        run_out(service, bad["id"])
        service.sweeper.sweep()
        bad = (lease(client, batch["id"]) or [bad])[0]
    task = answered(client.get(f"/api/tasks/{bad['id']}"))
    assert (task["status"], task["error"]["code"], task["attempt"]) == ("FAILED", "poisoned", 2)
    assert show(client, batch["id"])["state"] == "COMPLETED"


@pytest.mark.parametrize("body", [{"worker": "w", "max_tasks": 0}, {"worker": "w", "surprise": 1}, {"worker": ""}])
def test_422_a_bad_body(worker: ApiClient, body: dict[str, object]) -> None:
    """Contract 5: bad body is 422."""
    refused(worker.post("/api/tasks/lease", json=body), 422)
