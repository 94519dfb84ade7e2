"""POST and GET /api/connections, GET /api/workers, `can` of a lease, and lines that no known worker answers."""

from typing import Any

import pytest

from app.services import Services
from tests.api.lives import answered, bring, refused
from tests.services.stories import forget_workers
from tests.support.client import ApiClient

FAILED = {"connection": "openai", "outcome": "failed", "class": "outage", "message": "connection refused"}
MODELS = [{"connection": "openai", "model": "gpt-5"}, {"connection": "local", "model": "m"}]


def report(worker: ApiClient, *items: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    body = {"worker": "w-1", "connections": list(items)}
    rows: list[dict[str, Any]] = answered(worker.post("/api/connections", json=body, headers=headers))["connections"]
    return rows


def ask(worker: ApiClient, name: str = "w-1", **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = answered(worker.post("/api/tasks/lease", json={"worker": name, "max_tasks": 100, **body}))
    return found


def test_a_failure_is_known_to_all(client: ApiClient, worker: ApiClient, viewer: ApiClient) -> None:
    """Contract 5: the answer has the rows as the list has them; a lease names what is closed."""
    batch = bring(client, "ANALYZING", documents=1, models=MODELS)
    (row,) = report(worker, FAILED)
    assert {name: row[name] for name in row if name not in ("since", "next_try_at", "batches")} == {
        "connection": "openai",
        "model": None,
        "state": "closed",
        "class": "outage",
        "reason": "connection refused",
        "failures": 1,
        "reported_by": "w-1",
        "workers": row["workers"],
    }
    assert row["batches"] == [batch["id"]]
    assert row["since"] < row["next_try_at"]
    listed = answered(viewer.get("/api/connections"))
    assert row in listed["connections"]
    assert [each["connection"] for each in listed["connections"]] == ["local", "openai"]
    lease = ask(worker, can=["openai/*", "local/m"])
    assert [task["payload"]["model"] for task in lease["tasks"]] == ["m"]
    (closed,) = lease["closed"]
    assert set(closed) == {
        "connection", "model", "class", "reason", "since", "next_try_at", "retry_after_seconds",
    }  # fmt: skip
    assert lease["probe"] == []
    (waits,) = answered(viewer.get(f"/api/batches/{batch['id']}"))["waiting_for"]
    assert (waits["connection"], waits["class"], waits["reason"]) == ("openai", "outage", "connection refused")


def test_success_opens(client: ApiClient, worker: ApiClient) -> None:
    """Contract 5: the items are taken in order."""
    rows = report(
        worker, FAILED, {"connection": "openai", "outcome": "slowed"}, {"connection": "x", "outcome": "succeeded"}
    )
    assert [(row["connection"], row["state"]) for row in rows] == [("openai", "slowed")] * 2 + [("x", "open")]
    assert report(worker, {"connection": "openai", "outcome": "succeeded"})[0]["state"] == "open"


def test_the_same_report_twice(client: ApiClient, worker: ApiClient) -> None:
    """Contract 4: with a key the first answer again; without one the circuit stays as it is."""
    key = {"Idempotency-Key": "calls"}
    first = report(worker, FAILED, **key)
    assert report(worker, FAILED, **key) == first
    assert report(worker, FAILED) == first


def test_the_server_says_when(worker: ApiClient) -> None:
    (row,) = report(worker, {**FAILED, "class": "rate_limit", "retry_after_seconds": 80_000})
    assert row["next_try_at"] > row["since"]
    assert 79_000 < ask(worker)["closed"][0]["retry_after_seconds"] <= 80_000


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"connection": ""}, "connection"),
        ({"outcome": "broken"}, "outcome"),
        ({"class": None}, "class"),
        ({"class": "bad"}, "class"),
        ({"class": "model"}, "model"),
        ({"message": "x" * 1_001}, "message"),
        ({"message": "a\0b"}, "message"),
        ({"retry_after_seconds": -1}, "retry_after_seconds"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_422_a_bad_item(worker: ApiClient, item: dict[str, Any], field: str) -> None:
    """Contract 5: the answer names its index; nothing is taken."""
    body = {"worker": "w", "connections": [FAILED, {**FAILED, "connection": "other", **item}]}
    problem = refused(worker.post("/api/connections", json=body), 422)
    assert field in problem["errors"]["connections"]["1"]
    assert ask(worker)["closed"] == []


@pytest.mark.parametrize("amount", [0, 101])
def test_422_too_many_items_or_none(worker: ApiClient, amount: int) -> None:
    refused(worker.post("/api/connections", json={"worker": "w", "connections": [FAILED] * amount}), 422)


def test_422_more_circuits_than_are_kept(worker: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.connection.circuits.MOST_CIRCUITS", 2)
    report(worker, FAILED, {**FAILED, "connection": "b"})
    body = {"worker": "w", "connections": [{**FAILED, "connection": "c"}]}
    assert "at most 2" in refused(worker.post("/api/connections", json=body), 422)["detail"]


@pytest.mark.parametrize(
    ("can", "at"),
    [
        (["stage", "openai"], "1"),
        (["jsonl:"], "0"),
        (["/m"], "0"),
        (["a/" + "m" * 299], "0"),
        (["a/\0"], "0"),
        ([7], "0"),
    ],
)
def test_422_can_is_malformed(worker: ApiClient, can: list[Any], at: str) -> None:
    """Contract 5: 422 with the index."""
    problem = refused(worker.post("/api/tasks/lease", json={"worker": "w", "can": can}), 422)
    assert list(problem["errors"]["can"]) == [at]


def test_422_can_is_too_long(worker: ApiClient) -> None:
    refused(worker.post("/api/tasks/lease", json={"worker": "w", "can": ["a/b"] * 1_001}), 422)


def test_can_is_everything_if_it_is_absent_or_null(client: ApiClient, worker: ApiClient) -> None:
    bring(client, "ANALYZING", documents=2, models=MODELS)
    assert len(ask(worker, can=None, max_tasks=2)["tasks"]) == 2
    assert len(ask(worker)["tasks"]) == 2


def test_the_list_has_pages(worker: ApiClient, viewer: ApiClient) -> None:
    report(worker, *({**FAILED, "connection": name} for name in "cab"))
    seen, cursor = [], ""
    while cursor is not None:
        page = answered(viewer.get(f"/api/connections?limit=2{cursor}"))
        seen += [row["connection"] for row in page["connections"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == ["a", "b", "c"]


def test_workers_and_what_they_can_do(worker: ApiClient, viewer: ApiClient) -> None:
    ask(worker, can=["stage", "openai/*"])
    ask(worker, "w-2")
    worker.application.extensions["interlock"].sightings.write()
    found = answered(viewer.get("/api/workers"))
    assert {row["worker"]: row["can"] for row in found["workers"]} == {"w-1": ["openai/*", "stage"], "w-2": None}
    assert found["total"] == 2
    (shown,) = answered(viewer.get("/api/connections"))["connections"]
    assert (shown["connection"], shown["state"], shown["workers"]) == ("openai", "open", ["w-2", "w-1"])
    ask(worker)  # it can do everything now
    assert [row["can"] for row in answered(viewer.get("/api/workers?name=w-1"))["workers"]] == [None]


def test_lines_that_no_known_worker_answers(operator: ApiClient, worker: ApiClient) -> None:
    """Contract 5: refused by line, if a worker has announced which endpoints it answers."""
    lines = "".join(
        f'{{"custom_id": "{n}", "method": "POST", "url": "{url}", "body": {{"model": "m"}}}}\n'
        for n, url in enumerate(("/v1/embeddings", "/v1/responses", "/embeddings"))
    )
    send = {"data": lines, "content_type": "application/jsonl"}
    answered(operator.post("/api/batches?name=a", **send), 201)
    ask(worker, can=["openai/*", "jsonl/other"])
    answered(operator.post("/api/batches?name=b", **send), 201)
    ask(worker, can=["openai/*", "jsonl:/v1/embeddings"])
    problem = refused(operator.post("/api/batches?name=c", **send), 422)
    assert problem["errors"] == {
        "line 2": ["no known worker answers /v1/responses with model 'm': start one that does"]
    }
    ask(worker, "w-2", can=["jsonl:*"])
    answered(operator.post("/api/batches?name=d", **send), 201)


def test_422_lines_of_too_many_models(operator: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.input.ready_tasks.MOST_TARGETS", 2)
    lines = "".join(
        f'{{"custom_id": "{n}", "method": "POST", "url": "/v1/embeddings", "body": {{"model": "{model}"}}}}\n'
        for n, model in enumerate("abacb")
    )
    problem = refused(operator.post("/api/batches?name=a", data=lines, content_type="application/jsonl"), 422)
    assert list(problem["errors"]) == ["line 4"]


def test_the_metrics(client: ApiClient, worker: ApiClient, service: Services) -> None:
    bring(client, "ANALYZING", documents=1, models=MODELS)
    forget_workers(service)
    report(worker, FAILED, {**FAILED, "connection": "local", "model": "m", "class": "model"})
    ask(worker, can=["openai/*"])
    shown = client.acting_as(None).get("/metrics").text
    assert 'interlock_connection_state{connection="openai",model="",state="closed"} 1.0' in shown
    assert 'interlock_connection_state{connection="local",model="m",state="closed"} 1.0' in shown
    assert "interlock_unserved_targets 1.0" in shown
