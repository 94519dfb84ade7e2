"""The sentences of contract 5 that hold for all answers: times, ids, and tokens' roles named one by one."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.api.lives import answered, bring, complete, fail, lease
from tests.support.client import ApiClient

RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def times_of(value: Any) -> Iterator[tuple[str, str]]:
    """Find every time in an answer, however deep: the fields whose name ends in `at`."""
    if isinstance(value, dict):
        for name, each in value.items():
            if re.search(r"(^|_)at$", name) and each is not None:
                yield name, each
            yield from times_of(each)
    if isinstance(value, list):
        for each in value:
            yield from times_of(each)


def test_times_everywhere(client: ApiClient) -> None:
    """Contract 5: times in RFC 3339 UTC, in every answer that has any."""
    batch = bring(client, "ANALYZING", documents=3)
    path = f"/api/batches/{batch['id']}"
    good, bad, slow = lease(client, batch["id"])
    held = [{"task_id": slow["id"], "lease_token": slow["lease_token"]}]
    beat = client.post("/api/tasks/heartbeat", json={"worker": "w", "lease_seconds": 60, "leases": held})
    complete(client, good)
    fail(client, bad, retryable=False)
    assert fail(client, good).status_code == 409
    made = client.post("/api/tokens", json={"name": "n", "role": "viewer", "expires_at": "2099-01-01T02:00:00+02:00"})
    client.post(f"{path}/action", json={"action": "cancel"})
    answers = [
        [good, answered(beat), answered(made, 201), answered(client.get("/api/tokens"))],
        [answered(client.get(p)) for p in (path, "/api/batches", f"{path}/audit", f"{path}/tasks")],
        [answered(client.get(f"/api/tasks/{task['id']}")) for task in (good, bad, slow)],
        [json.loads(line) for line in client.get(f"{path}/results").text.splitlines()],
    ]
    found = list(times_of(answers))
    assert [(name, at) for name, at in found if not RFC_3339_UTC.fullmatch(at)] == []
    assert {name for name, _ in found} >= {
        "at",
        "created_at",
        "updated_at",
        "staged_at",
        "started_at",
        "finished_at",
        "lease_expires_at",
        "expires_at",
    }


def test_ids(client: ApiClient) -> None:
    """Contract 5: ids of batches are integers, ids of tasks strings, wherever they stand."""
    batch = bring(client, "ANALYZING", documents=2)
    good, bad = lease(client, batch["id"])
    held = [{"task_id": task["id"], "lease_token": task["lease_token"]} for task in (good, bad)]
    beat = answered(client.post("/api/tasks/heartbeat", json={"worker": "w", "lease_seconds": 60, "leases": held}))
    done = answered(complete(client, good))
    failed = answered(fail(client, bad, critical=True))
    asked = answered(client.post(f"/api/batches/{batch['id']}/action", json={"action": "reset"}))
    shown = answered(client.get(f"/api/tasks/{good['id']}"))
    (finished,) = client.get(f"/api/batches/{batch['id']}/results?run=1").text.splitlines()[:1]
    of_tasks = [good["id"], *(each["task_id"] for each in beat["leases"]), done["task_id"], failed["task_id"]]
    of_tasks += [shown["id"], json.loads(finished)["task_id"]]
    of_batches = [batch["id"], good["batch_id"], shown["batch_id"], asked["batch_id"], asked["batch"]["id"]]
    assert {type(each) for each in of_tasks} == {str}
    assert {type(each) for each in of_batches} == {int}
    assert set(of_batches) == {batch["id"]}
