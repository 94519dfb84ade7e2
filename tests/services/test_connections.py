"""Leases by what workers can do, and leases under closed circuits: one probe at a time."""

import threading
from collections import Counter
from typing import Any

import pytest

from app.domain.leases import TaskKind
from app.models import Circuit, Task
from app.services import Services
from app.services.input import edits
from app.services.input.ready_tasks import ReadyTasks
from app.services.queue.task_queue import Granted
from tests.services.stories import (
    OPERATOR,
    act,
    bring,
    complete,
    create,
    document,
    fail,
    finish_all,
    follow,
    forget_workers,
    lease,
    let_next_try_come,
    report_calls,
    rows_of,
    snapshot,
    task,
    tasks_of,
)
from tests.support.waiting import LIMIT_SECONDS

Models = list[tuple[str, str]]
TWO: Models = [("openai", "gpt-5"), ("local", "m")]


@pytest.fixture(autouse=True)
def _fresh_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read which batches have work at every lease: a list that is renewed by the clock makes turns random."""
    monkeypatch.setattr("app.services.queue.known_work.CANDIDATES_SECONDS", 0.0)


def analyzing(services: Services, models: Models, documents: int = 4, **options: Any) -> int:
    """Make an ANALYZING batch that calls these models, one task each for a document."""
    body = {
        "name": "contracts",
        "documents": [document(f"{n}.txt", f"text {n}") for n in range(documents)],
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": connection, "model": model, "params": {}} for connection, model in models],
        "options": options,
    }
    return follow(services, int(edits.create_batch(services.batches, body, OPERATOR)["id"]), "ANALYZING")


def of_lines(services: Services, *pairs: tuple[str, str]) -> int:
    """Make an ANALYZING batch of ready-made tasks, each with a url and a model."""
    lines = [
        {"custom_id": str(n), "method": "POST", "url": url, "body": {"model": model}}
        for n, (url, model) in enumerate(pairs)
    ]
    with ReadyTasks() as prepared:
        assert prepared.add(list(enumerate(lines, 1))) == {}
        made = edits.create_batch_of_ready_tasks(services.batches, "ready", prepared, OPERATOR)
    return follow(services, int(made["id"]), "ANALYZING")


def grant(services: Services, can: list[str] | None = None, most: int = 1000, **more: Any) -> Granted:
    return services.queue.lease("w", max_tasks=most, can=can, **more)


def called(granted: Granted) -> Counter[str]:
    """Count the tasks by the model that they call, or by their kind."""
    payloads = [(each["kind"], each["payload"]) for each in granted.tasks]
    return Counter(
        kind if kind == TaskKind.STAGE else payload.get("model") or payload["body"]["model"]
        for kind, payload in payloads
    )


def probes(granted: Granted) -> list[str]:
    return [each["id"] for each in granted.tasks if each.get("is_probe")]


@pytest.mark.parametrize(
    ("can", "models"),
    [
        (None, {"gpt-5": 4, "m": 4}),
        (["openai/*"], {"gpt-5": 4}),
        (["openai/gpt-5"], {"gpt-5": 4}),
        (["openai/gpt-4", "stage"], {}),
        (["local/m", "openai/gpt-4"], {"m": 4}),
        ([], {}),
    ],
)
@pytest.mark.parametrize("of_one", [False, True])
def test_a_worker_gets_what_it_can_do(
    services: Services, can: list[str] | None, models: dict[str, int], of_one: bool
) -> None:
    batch_id = analyzing(services, TWO)
    assert called(grant(services, can, batch_id=batch_id if of_one else None)) == models


def test_staging_is_for_workers_that_stage(services: Services) -> None:
    bring(services, "STAGING")
    assert not grant(services, ["local/*"]).tasks
    assert called(grant(services, ["stage"])) == {"STAGE": 2}


@pytest.mark.parametrize(
    ("can", "models"),
    [
        (["jsonl:/v1/embeddings"], {"e": 2}),
        (["jsonl:/v1/chat/completions"], {"c": 1}),
        (["jsonl:*"], {"e": 2, "c": 1}),
        (["jsonl/c"], {"c": 1}),
        (["openai/*"], {}),
    ],
)
def test_lines_are_for_workers_of_their_endpoint(services: Services, can: list[str], models: dict[str, int]) -> None:
    of_lines(services, ("/v1/embeddings", "e"), ("/v1/chat/completions", "c"), ("/embeddings", "e"))
    assert called(grant(services, can)) == models


def test_every_line_has_the_number_of_its_target(services: Services) -> None:
    """One number for each endpoint with each model; a new run has the same."""
    batch_id = of_lines(services, ("/v1/embeddings", "e"), ("/v1/responses", "e"), ("/embeddings", "e"), ("/v1/x", "f"))
    finish_all(services, batch_id)
    act(services, batch_id, "restage", reuse="none")
    assert [row.target for row in rows_of(services, Task)] == [1, 2, 1, 3] * 2


def test_a_task_of_the_release_before_is_for_any_worker_that_calls_models(services: Services) -> None:
    """It was written without a target while both releases ran."""
    analyzing(services, [("openai", "gpt-5")], documents=1)
    with services.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tasks SET target = 0")
    assert not grant(services, ["stage"]).tasks
    assert called(grant(services, ["local/*"])) == {"gpt-5": 1}


def test_the_targets_of_a_batch_get_even_shares(services: Services) -> None:
    analyzing(services, [("a", f"m{n}") for n in range(10)], documents=6)
    first = called(grant(services, most=16))
    assert sum(first.values()) == 16
    assert set(first.values()) == {2}, "two each of eight models"
    assert set(first + called(grant(services, most=16))) == {f"m{n}" for n in range(10)}
    assert sum(called(grant(services)).values()) == 60 - 32, "what is left, of all models"


def test_single_leases_go_round_the_targets(services: Services) -> None:
    analyzing(services, TWO, documents=4)
    assert sum((called(grant(services, most=1)) for _ in range(4)), Counter()) == {"gpt-5": 2, "m": 2}


def test_a_lease_of_one_target_is_one_statement(services: Services, statements: list[str]) -> None:
    """A lease costs what it did before connections had circuits, with `can` or without."""
    batch_id = analyzing(services, [("openai", "gpt-5")])
    grant(services, ["openai/*"], most=1)  # the worker is new
    counted = []
    for can in (None, ["openai/*"], ["openai/*"]):
        services.queue.lease("w", max_tasks=1, can=["openai/*"], batch_id=4711)
        statements.clear()
        services.queue.lease("w", max_tasks=1, can=can, batch_id=batch_id)
        counted.append(sum("UPDATE tasks" in each or each.startswith("EXECUTE lease_0") for each in statements))
    assert counted == [1, 1, 1]


# --- closed circuits


def test_a_closed_connection_is_leased_to_nobody_and_others_go_on(services: Services) -> None:
    batch_id = analyzing(services, TWO)
    report_calls(services, "failed", connection="openai")
    before = grant(services)
    assert called(before) == {"m": 4}
    assert [(each["connection"], each["model"], each["class"], each["reason"]) for each in before.closed] == [
        ("openai", None, "outage", "connection refused")
    ]
    assert 0 < before.closed[0]["retry_after_seconds"] <= 1.2 * 60
    assert grant(services, batch_id=batch_id).tasks == []
    assert grant(services, ["local/*"]).closed == []
    report_calls(services, "succeeded", connection="openai")
    after = grant(services)
    assert (called(after), after.closed) == ({"gpt-5": 4}, [])


def test_one_model_may_be_closed_alone(services: Services) -> None:
    analyzing(services, [("openai", "gpt-5"), ("openai", "gpt-6")])
    report_calls(services, "failed", connection="openai", model="gpt-6", error_class="model")
    granted = grant(services, ["openai/*"])
    assert called(granted) == {"gpt-5": 4}
    assert [(each["connection"], each["model"], each["class"]) for each in granted.closed] == [
        ("openai", "gpt-6", "model")
    ]
    assert grant(services, ["openai/gpt-5"]).closed == []


def test_a_slowed_connection_is_leased(services: Services) -> None:
    analyzing(services, [("openai", "gpt-5")])
    report_calls(services, "slowed", connection="openai")
    granted = grant(services)
    assert (called(granted), granted.closed) == ({"gpt-5": 4}, [])


@pytest.mark.parametrize("of_one", [False, True])
def test_one_task_is_the_probe_when_its_time_has_come(services: Services, of_one: bool) -> None:
    batch_id = analyzing(services, [("openai", "gpt-5")])
    of = {"batch_id": batch_id} if of_one else {}
    report_calls(services, "failed", connection="openai")
    assert grant(services, **of).tasks == []
    let_next_try_come(services)
    assert grant(services, ["local/*"], **of).tasks == []
    granted = grant(services, **of)
    assert len(granted.tasks) == len(probes(granted)) == 1
    assert granted.closed[0]["retry_after_seconds"] > 0.5
    assert grant(services, **of).tasks == []
    report_calls(services, "succeeded", connection="openai")
    rest = grant(services, **of)
    assert (called(rest), probes(rest)) == ({"gpt-5": 3}, [])


def test_a_probe_that_fails_waits_longer(services: Services) -> None:
    """And other failures, of calls that began earlier, or the same report again, do not count."""
    analyzing(services, [("openai", "gpt-5")])
    (row,) = report_calls(services, "failed", "failed", connection="openai")[:1]
    assert report_calls(services, "failed", connection="openai")[0]["failures"] == 1
    for failures in (2, 3):
        let_next_try_come(services)
        assert len(probes(grant(services))) == 1
        (shown,) = report_calls(services, "failed", connection="openai")
        assert (shown["failures"], shown["state"], shown["since"]) == (failures, "closed", row["since"])
        (kept,) = rows_of(services, Circuit)
        minutes = (kept.next_try_at - kept.failed_at).total_seconds() / 60  # as conftest has it
        assert 2 ** (failures - 1) <= minutes <= 1.2 * 2 ** (failures - 1)


def test_another_task_is_the_next_probe(services: Services) -> None:
    """A document that breaks its server is not the probe for ever: what is released goes to the end of the queue."""
    analyzing(services, [("openai", "gpt-5")], documents=3)
    report_calls(services, "failed", connection="openai")
    seen = set()
    for _ in range(3):
        let_next_try_come(services)
        (leased,) = grant(services).tasks
        seen.add(leased["id"])
        report_calls(services, "failed", connection="openai")
        services.queue.release([(leased["id"], leased["lease_token"])])
    assert len(seen) == 3


def test_the_probe_of_a_dead_worker_is_made_again(services: Services) -> None:
    analyzing(services, [("openai", "gpt-5")])
    report_calls(services, "failed", connection="openai")
    for _ in range(2):
        let_next_try_come(services)
        assert len(probes(grant(services))) == 1


def test_a_claim_without_a_task_is_given_back(services: Services) -> None:
    """All tasks are in flight: the probe is still due when one comes back."""
    batch_id = analyzing(services, [("openai", "gpt-5")], documents=1)
    (leased,) = grant(services).tasks
    report_calls(services, "failed", connection="openai")
    let_next_try_come(services)
    before = snapshot(services)["circuits"]
    assert grant(services).tasks == grant(services, batch_id=batch_id).tasks == []
    assert snapshot(services)["circuits"] == before
    fail(services, leased, retry_after_seconds=0)
    assert len(probes(grant(services))) == 1


def test_two_circuits_of_one_task_have_to_be_due(services: Services) -> None:
    analyzing(services, [("openai", "gpt-5")])
    report_calls(services, "failed", connection="openai")
    report_calls(services, "failed", connection="openai", model="gpt-5")
    let_next_try_come(services)
    assert len(probes(grant(services))) == 1
    with services.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE circuits SET next_try_at = since WHERE model = ''")
    assert grant(services).tasks == []


@pytest.mark.soak(rounds=25)
def test_of_two_workers_one_gets_the_probe(services: Services) -> None:
    """The claim is one UPDATE with the time in its WHERE."""
    analyzing(services, [("openai", "gpt-5")])
    report_calls(services, "failed", connection="openai")
    let_next_try_come(services)
    begin, granted = threading.Barrier(4), []

    def ask() -> None:
        begin.wait(LIMIT_SECONDS)
        granted.append(grant(services))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert len(granted) == 4
    assert sum(len(each.tasks) for each in granted) == sum(len(probes(each)) for each in granted) == 1


def test_a_report_of_success_keeps_no_row(services: Services) -> None:
    (shown,) = report_calls(services, "succeeded")
    assert (shown["connection"], shown["state"], shown["failures"]) == ("local", "open", 0)
    assert rows_of(services, Circuit) == []


def test_finished_tasks_stay_as_they_are(services: Services) -> None:
    """Reports of tasks count under a closed circuit, too."""
    batch_id = analyzing(services, [("openai", "gpt-5")], documents=1)
    (leased,) = grant(services).tasks
    report_calls(services, "failed", connection="openai")
    complete(services, leased)
    assert task(services, leased["id"])["status"] == "COMPLETED"
    assert {each["status"] for each in tasks_of(services, batch_id)} == {"COMPLETED"}


# --- what tasks wait for


def test_tasks_wait_for_a_worker_that_can_do_them(services: Services) -> None:
    batch_id = analyzing(services, TWO, documents=1)

    def waits() -> list[tuple[Any, ...]]:
        shown = services.reads.batches.show(batch_id)["waiting_for"]
        return [(each["connection"], each["model"], each["reason"]) for each in shown]

    nobody = "no present worker can do it"
    forget_workers(services)
    assert waits() == [("openai", "gpt-5", nobody), ("local", "m", nobody)]
    services.queue.lease("one", can=["openai/*"], batch_id=4711)
    assert waits() == [("local", "m", nobody)]
    services.queue.lease("two", can=["local/m"], batch_id=4711)
    assert waits() == []
    report_calls(services, "failed", connection="openai")
    assert waits() == [("openai", None, "connection refused")]
    lease(services, batch_id)
    finish_all(services, batch_id)
    assert waits() == [("openai", None, "connection refused")]
    report_calls(services, "succeeded", connection="openai")
    finish_all(services, batch_id)
    assert waits() == []


def test_staging_waits_for_a_worker_that_stages(services: Services) -> None:
    batch_id = follow(services, create(services), "STAGING")
    services.queue.lease("one", can=["openai/*"])
    (waits,) = services.reads.batches.show(batch_id)["waiting_for"]
    assert (waits["kind"], waits["connection"], waits["reason"]) == ("STAGE", None, "no present worker can do it")
    assert services.reads.connections.unserved_targets() == 1
    services.queue.lease("one", max_tasks=1)
    assert services.reads.batches.show(batch_id)["waiting_for"] == []
    assert services.reads.connections.unserved_targets() == 0
