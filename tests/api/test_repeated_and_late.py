"""Reports that come again, and reports that come too late: contract 5 on lease tokens."""

from datetime import datetime
from typing import Any

import pytest

from app.services import Services
from tests.api.lives import act, answered, audit, bring, complete, fail, finish_all, lease, refused, show
from tests.api.test_lease import run_out
from tests.support.client import ApiClient


def task_of(client: ApiClient, task: dict[str, Any]) -> dict[str, Any]:
    return answered(client.get(f"/api/tasks/{task['id']}"))


class TestReplay:
    """Contract 5: the same report again is recognised first."""

    def test_completed_again(self, same_client: ApiClient) -> None:
        """The same report (task, token, outcome) is 200 with the task's status then given; the first result stays."""
        batch = bring(same_client, "ANALYZING", documents=2)
        one, two = lease(same_client, batch["id"])
        first = answered(complete(same_client, one, {"n": 1}))
        assert answered(complete(same_client, one, {"n": 2})) == first
        assert task_of(same_client, one)["result"] == {"n": 1}
        complete(same_client, two)
        for action in ("restage", None):
            again = answered(complete(same_client, one))
            assert again["status"] == "COMPLETED"
            if action:
                act(same_client, batch["id"], action)
        assert len(audit(same_client, batch["id"])) == 6

    def test_failed_again(self, same_client: ApiClient) -> None:
        """A retryable failure again is QUEUED, as then, even after the task was leased and completed by another."""
        batch = bring(same_client, "ANALYZING", documents=2)
        task = lease(same_client, batch["id"], most=1)[0]
        assert fail(same_client, task, retry_after_seconds=0).json["status"] == "QUEUED"
        assert fail(same_client, task, retry_after_seconds=0).json["status"] == "QUEUED"
        assert task_of(same_client, task)["attempt"] == 1
        finish_all(same_client, batch["id"])
        assert answered(fail(same_client, task))["status"] == "QUEUED"
        assert task_of(same_client, task)["status"] == "COMPLETED"

    @pytest.mark.parametrize("first", ["complete", "fail"])
    def test_409_the_other_outcome(self, same_client: ApiClient, first: str) -> None:
        """The same token with the other outcome is 409, and changes nothing."""
        batch = bring(same_client, "ANALYZING", documents=2)
        task = lease(same_client, batch["id"], most=1)[0]
        calls = [complete, fail] if first == "complete" else [fail, complete]
        assert calls[0](same_client, task).status_code == 200
        before = task_of(same_client, task)
        refused(calls[1](same_client, task), 409)
        after = task_of(same_client, task)
        assert after["status"] == before["status"]
        assert len(after["late_results"]) == 1


class TestDoesNotCount:
    """Contract 5: any other report is 409 and changes neither task nor batch; a known token's result is kept."""

    def test_a_token_that_was_never_given_out(self, same_client: ApiClient) -> None:
        """409, and nothing is kept of a stranger."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        before = task_of(same_client, task)
        for token in ("x", task["lease_token"][:-1], task["lease_token"] + "0", task["lease_token"].upper() + "A"):
            refused(complete(same_client, {**task, "lease_token": token[:64]}), 409)
        assert task_of(same_client, task) == before
        assert before["late_results"] == []
        assert complete(same_client, task).status_code == 200

    def test_a_task_that_was_leased_again(self, client: ApiClient, service: Services) -> None:
        """The earlier token's result comes too late and is kept, whole; the later lease goes on."""
        batch = bring(client, "ANALYZING", documents=1)
        early = lease(client, batch["id"])[0]
        run_out(service, early["id"])
        service.sweeper.sweep()
        later = lease(client, batch["id"])[0]
        refused(complete(client, early, {"text": "late"}), 409)
        refused(complete(client, early, {"text": "late"}), 409)
        refused(fail(client, early), 409)
        assert complete(client, later, {"text": "in time"}).status_code == 200
        shown = task_of(client, later)
        assert shown["result"] == {"text": "in time"}
        late = shown["late_results"]
        assert [datetime.fromisoformat(each.pop("at")).tzinfo is not None for each in late] == [True, True]
        assert late == [
            {"attempt": 1, "outcome": "completed", "result": {"text": "late"}, "error": None},
            {
                "attempt": 1,
                "outcome": "failed",
                "result": None,
                "error": {"code": "timeout", "message": "no answer"},
            },
        ]

    def test_a_lease_that_ran_out_but_was_not_leased_again(self, client: ApiClient, service: Services) -> None:
        """Contract 5: it still counts."""
        batch = bring(client, "ANALYZING", documents=1)
        task = lease(client, batch["id"])[0]
        run_out(service, task["id"])
        service.sweeper.sweep()
        assert answered(complete(client, task))["batch_state"] == "COMPLETED"

    def test_a_batch_that_ended_meanwhile(self, same_client: ApiClient) -> None:
        """An ANALYZE report counts in ANALYZING and in PAUSED, not in FAILED; the batch stays as it is."""
        batch = bring(same_client, "ANALYZING", documents=2)
        one, two = lease(same_client, batch["id"])
        act(same_client, batch["id"], "pause")
        assert answered(complete(same_client, one))["batch_state"] == "PAUSED"
        cancelled = act(same_client, batch["id"], "cancel")
        paid_for = {"text": "paid for", "usage": {"cost": 0}}
        body = refused(complete(same_client, two, paid_for), 409)
        assert "FAILED" in body["detail"]
        assert show(same_client, batch["id"]) == cancelled
        assert task_of(same_client, two)["late_results"][0]["result"] == paid_for

    def test_an_earlier_run(self, same_client: ApiClient) -> None:
        """Reports count in the batch's present run alone."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        act(same_client, batch["id"], "cancel")
        act(same_client, batch["id"], "restage")
        finish_all(same_client, batch["id"])
        act(same_client, batch["id"], "run")
        refused(complete(same_client, task), 409)
        assert show(same_client, batch["id"])["progress"]["analysis"]["completed"] == 0

    def test_a_staging_report_after_staging_ended(self, same_client: ApiClient) -> None:
        """A STAGE report counts in STAGING."""
        batch = bring(same_client, "STAGING", documents=2)
        one, two = lease(same_client, batch["id"])
        fail(same_client, one, retryable=False)
        refused(complete(same_client, two), 409)
        assert show(same_client, batch["id"])["progress"]["analysis"]["total"] == 0
