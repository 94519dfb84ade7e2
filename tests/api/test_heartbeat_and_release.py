"""POST /api/tasks/heartbeat and POST /api/tasks/release."""

from datetime import datetime
from typing import Any

import pytest

from app.services import Services
from tests.api.lives import act, answered, bring, complete, fail, lease, refused, show
from tests.api.test_lease import run_out
from tests.support.client import ApiClient


def ref(task: dict[str, Any]) -> dict[str, str]:
    return {"task_id": task["id"], "lease_token": task["lease_token"]}


def heartbeat(client: ApiClient, *leases: dict[str, str], seconds: int = 600) -> list[dict[str, Any]]:
    body = {"worker": "w", "lease_seconds": seconds, "leases": list(leases)}
    answers: list[dict[str, Any]] = answered(client.post("/api/tasks/heartbeat", json=body))["leases"]
    return answers


def release(client: ApiClient, *leases: dict[str, str]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = answered(client.post("/api/tasks/release", json={"leases": list(leases)}))["leases"]
    return answers


class TestHeartbeat:
    def test_renewed(self, same_client: ApiClient) -> None:
        """Contract 5: 200 `{"leases":[{"task_id","ok","lease_expires_at"}]}`, in order."""
        batch = bring(same_client, "ANALYZING")
        tasks = lease(same_client, batch["id"])
        answers = heartbeat(same_client, *map(ref, reversed(tasks)))
        assert [each["task_id"] for each in answers] == [task["id"] for task in reversed(tasks)]
        for answer, task in zip(answers, reversed(tasks), strict=True):
            assert answer["ok"] is True
            longer = datetime.fromisoformat(answer["lease_expires_at"]) - datetime.fromisoformat(
                task["lease_expires_at"]
            )
            assert longer.total_seconds() > 500
            assert "reason" not in answer
        assert (
            same_client.get(f"/api/tasks/{tasks[0]['id']}").json["lease_expires_at"] == answers[-1]["lease_expires_at"]
        )

    def test_of_a_paused_batch(self, same_client: ApiClient) -> None:
        """Contract 5: ANALYZE work in flight may finish in PAUSED: its lease is renewed."""
        batch = bring(same_client, "ANALYZING")
        task = lease(same_client, batch["id"])[0]
        act(same_client, batch["id"], "pause")
        assert heartbeat(same_client, ref(task))[0]["ok"] is True

    def test_a_lease_that_ran_out_is_renewed(self, client: ApiClient, service: Services) -> None:
        """Contract 5: a lease that ran out but was given to nobody still counts, and a heartbeat renews it."""
        batch = bring(client, "ANALYZING", documents=1)
        task = lease(client, batch["id"])[0]
        run_out(service, task["id"])
        service.sweeper.sweep()
        assert client.get(f"/api/tasks/{task['id']}").json["status"] == "QUEUED"
        assert heartbeat(client, ref(task))[0]["ok"] is True
        assert client.get(f"/api/tasks/{task['id']}").json["status"] == "LEASED"
        assert lease(client, batch["id"]) == []
        assert complete(client, task).status_code == 200

    def test_ok_false_means_stop(self, client: ApiClient, service: Services) -> None:
        """Contract 5: `ok: false` with a reason, for each by itself; nothing is renewed."""
        batch = bring(client, "ANALYZING", documents=3)
        done, lost, good = lease(client, batch["id"])
        complete(client, done)
        run_out(service, lost["id"])
        service.sweeper.sweep()
        lease(client, batch["id"])
        unknown = {"task_id": "999999", "lease_token": "t"}
        nonsense = {"task_id": "x\0y", "lease_token": "t"}
        foreign = {"task_id": good["id"], "lease_token": "nobody's"}
        refs = [ref(done), ref(lost), unknown, nonsense, foreign, ref(good)]
        answers = heartbeat(client, *refs)
        assert [each["ok"] for each in answers] == [False] * 5 + [True]
        assert [each["task_id"] for each in answers] == [each["task_id"] for each in refs]
        for each in answers[:-1]:
            assert each["reason"]
            assert "lease_expires_at" not in each

    @pytest.mark.parametrize("action", ["cancel", "restage"])
    def test_after_the_batch_went_on(self, same_client: ApiClient, action: str) -> None:
        """Contract 5: reports count in the batch's present run alone: a cancelled batch's workers may stop."""
        batch = bring(same_client, "ANALYZING")
        task = lease(same_client, batch["id"])[0]
        act(same_client, batch["id"], "cancel")
        if action == "restage":
            act(same_client, batch["id"], "restage")
        answer = heartbeat(same_client, ref(task))[0]
        assert answer["ok"] is False
        assert answer["reason"]

    def test_an_empty_list(self, same_client: ApiClient) -> None:
        """A worker without leases says so, and hears nothing new."""
        assert heartbeat(same_client) == []

    def test_the_same_twice(self, same_client: ApiClient) -> None:
        """Each lease of the call has its answer."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        assert [each["ok"] for each in heartbeat(same_client, ref(task), ref(task))] == [True, True]


class TestRelease:
    def test_handed_back_unharmed(self, same_client: ApiClient) -> None:
        """Contract 5: 200, as heartbeat: handed back unharmed, the attempt not counted."""
        batch = bring(same_client, "ANALYZING", documents=1, options={"max_attempts": 1})
        for _ in range(3):
            task = lease(same_client, batch["id"])[0]
            assert task["attempt"] == 1
            assert [(each["task_id"], each["ok"]) for each in release(same_client, ref(task))] == [(task["id"], True)]
            shown = same_client.get(f"/api/tasks/{task['id']}").json
            assert (shown["status"], shown["attempt"]) == ("QUEUED", 0)
        assert show(same_client, batch["id"])["progress"]["analysis"]["queued"] == 1

    def test_its_token_is_used_up(self, same_client: ApiClient) -> None:
        """Contract 5: what was handed back cannot be reported; the result is kept, for somebody paid for it."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        release(same_client, ref(task))
        refused(complete(same_client, task, {"text": "late"}), 409)
        assert same_client.get(f"/api/tasks/{task['id']}").json["late_results"][0]["result"] == {"text": "late"}
        assert heartbeat(same_client, ref(task))[0]["ok"] is False

    def test_sent_twice(self, same_client: ApiClient) -> None:
        """A release whose answer was lost is sent again: it was handed back, and the attempt not counted, once."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        assert [each["ok"] for each in release(same_client, ref(task), ref(task))] == [True, True]
        again = lease(same_client, batch["id"])[0]
        assert release(same_client, ref(task))[0]["ok"] is True
        assert same_client.get(f"/api/tasks/{again['id']}").json["status"] == "LEASED"
        assert complete(same_client, again).status_code == 200

    def test_ok_false(self, same_client: ApiClient) -> None:
        """Contract 5: as heartbeat: what is not held cannot be handed back."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        complete(same_client, task)
        refs = [ref(task), {"task_id": "999999", "lease_token": "t"}, {"task_id": task["id"], "lease_token": "x"}]
        answers = release(same_client, *refs)
        assert [each["ok"] for each in answers] == [False] * 3
        assert all(each["reason"] for each in answers)

    def test_of_a_paused_or_cancelled_batch(self, same_client: ApiClient) -> None:
        """A worker that has to stop may hand back all that it holds."""
        batch = bring(same_client, "ANALYZING", documents=2)
        one, two = lease(same_client, batch["id"])
        act(same_client, batch["id"], "pause")
        assert release(same_client, ref(one))[0]["ok"] is True
        act(same_client, batch["id"], "cancel")
        release(same_client, ref(two))
        assert show(same_client, batch["id"])["state"] == "FAILED"

    def test_a_released_task_can_be_had_at_once(self, same_client: ApiClient) -> None:
        """Contract 5: handed back unharmed; a task that failed before keeps no waiting time either."""
        batch = bring(same_client, "ANALYZING", documents=1)
        fail(same_client, lease(same_client, batch["id"])[0], retry_after_seconds=0)
        task = lease(same_client, batch["id"])[0]
        release(same_client, ref(task))
        assert lease(same_client, batch["id"])[0]["attempt"] == 2


@pytest.mark.parametrize("path", ["/api/tasks/heartbeat", "/api/tasks/release"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"leases": None},
        {"leases": {}},
        {"leases": ["x"]},
        {"leases": [{"task_id": "1"}]},
        {"leases": [{"task_id": 1, "lease_token": "t"}]},
        {"leases": [{"task_id": "1", "lease_token": "x" * 65}]},
        {"leases": [{"task_id": "1", "lease_token": "t", "surprise": 1}]},
        {"leases": [{"task_id": "1", "lease_token": "t"}] * 1001},
        {"leases": [], "surprise": 1},
    ],
    ids=range(10),
)
def test_422_a_bad_body(same_client: ApiClient, path: str, body: dict[str, Any]) -> None:
    """Contract 5: bad body is 422 naming the field."""
    refused(same_client.post(path, json=body), 422)
