"""POST /api/tasks/<id>/complete and POST /api/tasks/<id>/fail."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.services import Services
from tests.api.calls import UNKNOWN
from tests.api.lives import act, answered, audit, bring, complete, fail, lease, refused, show
from tests.support.client import ApiClient
from tests.support.moments import is_from, now


def task_of(client: ApiClient, task: dict[str, Any]) -> dict[str, Any]:
    return answered(client.get(f"/api/tasks/{task['id']}"))


class TestComplete:
    def test_completed(self, same_client: ApiClient) -> None:
        """Contract 5: 200 `{"task_id","status","batch_state"}`; the result is any object."""
        batch = bring(same_client, "ANALYZING")
        worker = same_client.acting_as("worker")
        one, two = lease(worker, batch["id"])
        result = {"text": "x", "json": {"a": [1]}, "usage": {"input_tokens": 3, "output_tokens": 5}, "more": None}
        assert answered(complete(worker, one, result)) == {
            "task_id": one["id"],
            "status": "COMPLETED",
            "batch_state": "ANALYZING",
        }
        shown = task_of(same_client, one)
        assert (shown["status"], shown["result"], shown["error"]) == ("COMPLETED", result, None)
        assert datetime.fromisoformat(shown["finished_at"]) <= datetime.now(UTC)
        assert answered(complete(worker, two, {}))["batch_state"] == "COMPLETED"

    def test_before_the_last_report_is_answered_the_state_has_changed(self, same_client: ApiClient) -> None:
        """Contract 5: before the last report of a phase is answered the batch's state has changed, exactly once."""
        batch = bring(same_client, "STAGING", documents=1)
        assert complete(same_client, lease(same_client, batch["id"])[0]).json["batch_state"] == "STAGED"
        act(same_client, batch["id"], "run")
        assert complete(same_client, lease(same_client, batch["id"])[0]).json["batch_state"] == "COMPLETED"
        triggers = [row["trigger"] for row in audit(same_client, batch["id"])]
        assert triggers == ["create", "stage", "staging_completed", "run", "tasks_finished"]

    def test_a_staging_answer_makes_its_analysis_tasks(self, same_client: ApiClient) -> None:
        """Contract 5: STAGE: the answer makes its analysis tasks; a document without text makes none."""
        batch = bring(same_client, "STAGING", documents=3)
        results: list[dict[str, Any]] = [{"text": "x", "metadata": {"pages": 2}}, {"text": "  "}, {}]
        for task, result in zip(lease(same_client, batch["id"]), results, strict=True):
            complete(same_client, task, result)
        now = show(same_client, batch["id"])
        assert now["state"] == "STAGED"
        assert now["progress"]["analysis"]["total"] == 1

    def test_nothing_came_out_of_staging(self, same_client: ApiClient) -> None:
        """Contract 2: nothing came out of staging is FAILED, code `nothing_to_analyse`."""
        batch = bring(same_client, "STAGING", documents=1)
        assert complete(same_client, lease(same_client, batch["id"])[0], {}).json["batch_state"] == "FAILED"
        assert show(same_client, batch["id"])["failure"]["code"] == "nothing_to_analyse"

    @pytest.mark.parametrize(
        "body",
        [
            {"lease_token": "t"},
            {"result": {}},
            {"lease_token": "t", "result": None},
            {"lease_token": "t", "result": []},
            {"lease_token": "t", "result": "x"},
            {"lease_token": "", "result": {}},
            {"lease_token": 1, "result": {}},
            {"lease_token": "t", "result": {}, "error": {}},
        ],
        ids=range(8),
    )
    def test_422_a_bad_body(self, same_client: ApiClient, body: dict[str, Any]) -> None:
        """Contract 5: bad body is 422, whether the task is there or not."""
        refused(same_client.post(f"/api/tasks/{UNKNOWN}/complete", json=body), 422)

    def test_404_no_such_task(self, same_client: ApiClient) -> None:
        """Contract 5: ids of tasks are strings; one that nothing has is 404."""
        for ident in (str(UNKNOWN), "0", "-1", "01", "x", "1.5", "9" * 40):
            refused(complete(same_client, {"id": ident, "lease_token": "t"}), 404)


class TestFail:
    def test_a_retryable_failure_puts_it_back(self, same_client: ApiClient) -> None:
        """Contract 5: 200, the same; a retryable failure puts it back after `retry_after_seconds`."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        error = {"code": "rate_limit", "message": "slow down", "provider": "x"}
        body = answered(fail(same_client.acting_as("worker"), task, error=error, retry_after_seconds=0))
        assert body == {"task_id": task["id"], "status": "QUEUED", "batch_state": "ANALYZING"}
        assert task_of(same_client, task)["error"] == error
        again = lease(same_client, batch["id"])[0]
        assert (again["id"], again["attempt"]) == (task["id"], 2)

    def test_it_waits_as_long_as_retry_after_seconds(self, same_client: ApiClient) -> None:
        """Contract 5: after `retry_after_seconds`; not before."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        began = now()
        fail(same_client, task, retry_after_seconds=1800)
        assert lease(same_client, batch["id"]) == []
        assert is_from(began, 1800, task_of(same_client, task)["available_at"])

    def test_or_else_one_second_doubled_by_each_attempt(self, client: ApiClient, service: Services) -> None:
        """Contract 5: or else after 1 s doubled by each attempt up to 5 minutes."""
        batch = bring(client, "ANALYZING", documents=1, options={"max_attempts": 12})
        for attempt in range(1, 12):
            task = lease(client, batch["id"])[0]
            assert task["attempt"] == attempt
            began = now()
            assert fail(client, task).json["status"] == "QUEUED"
            assert is_from(began, min(2.0 ** (attempt - 1), 300.0), task_of(client, task)["available_at"])
            self._make_available(service)

    @staticmethod
    def _make_available(service: Services) -> None:
        from sqlalchemy import text

        with service.engine.begin() as connection:
            connection.execute(text("UPDATE tasks SET available_at = '2020-01-01 00:00:00'"))

    def test_attempts_are_used_up(self, same_client: ApiClient) -> None:
        """Contract 5: `max_attempts`: the last failure is final, retryable or not."""
        batch = bring(same_client, "ANALYZING", documents=1, options={"max_attempts": 2})
        for expected in ("QUEUED", "FAILED"):
            task = lease(same_client, batch["id"], most=1)[0]
            assert fail(same_client, task, retry_after_seconds=0).json["status"] == expected
        shown = task_of(same_client, task)
        assert (shown["status"], shown["attempt"], shown["error"]["code"]) == ("FAILED", 2, "timeout")

    def test_not_retryable_is_final_at_once(self, same_client: ApiClient) -> None:
        """Contract 5: `retryable` is true by default."""
        batch = bring(same_client, "ANALYZING", documents=2)
        one, two = lease(same_client, batch["id"])
        assert fail(same_client, one, retryable=False).json == {
            "task_id": one["id"],
            "status": "FAILED",
            "batch_state": "ANALYZING",
        }
        assert complete(same_client, two).json["batch_state"] == "COMPLETED"
        assert show(same_client, batch["id"])["progress"]["analysis"]["failed"] == 1

    def test_critical_ends_the_batch(self, same_client: ApiClient) -> None:
        """Contract 2: a worker reported a critical error: FAILED, `critical_error`, naming the task."""
        batch = bring(same_client, "ANALYZING", documents=3)
        task = lease(same_client, batch["id"], most=1)[0]
        error = {"code": "no_credit", "message": "the account is empty"}
        answer = fail(same_client, task, error=error, critical=True)
        assert answer.json == {"task_id": task["id"], "status": "FAILED", "batch_state": "FAILED"}
        failure = show(same_client, batch["id"])["failure"]
        assert (failure["code"], failure["task_id"]) == ("critical_error", task["id"])
        assert "the account is empty" in failure["message"]
        row = audit(same_client, batch["id"])[-1]
        assert (row["trigger"], row["kind"], row["to_state"]) == ("critical_error", "event", "FAILED")

    def test_the_failure_limit(self, same_client: ApiClient) -> None:
        """Contract 2: `failure_limit`: more than `max_failed_tasks` failed."""
        batch = bring(same_client, "ANALYZING", documents=4, options={"max_failed_tasks": 1})
        one, two, *_ = lease(same_client, batch["id"])
        assert fail(same_client, one, retryable=False).json["batch_state"] == "ANALYZING"
        assert fail(same_client, two, retryable=False).json["batch_state"] == "FAILED"
        assert show(same_client, batch["id"])["failure"]["code"] == "failure_limit"

    def test_every_task_failed(self, same_client: ApiClient) -> None:
        """Contract 2: `all_tasks_failed`: judged at the end, in place of COMPLETED."""
        batch = bring(same_client, "ANALYZING", documents=2)
        states = [fail(same_client, t, retryable=False).json["batch_state"] for t in lease(same_client, batch["id"])]
        assert states == ["ANALYZING", "FAILED"]
        assert show(same_client, batch["id"])["failure"]["code"] == "all_tasks_failed"

    def test_a_failed_staging_task_fails_the_batch(self, same_client: ApiClient) -> None:
        """Contract 2: `staging_failed`: a staging task is FAILED."""
        batch = bring(same_client, "STAGING", documents=2)
        task = lease(same_client, batch["id"], most=1)[0]
        assert fail(same_client, task, retryable=False).json["batch_state"] == "FAILED"
        failure = show(same_client, batch["id"])["failure"]
        assert (failure["code"], failure["task_id"]) == ("staging_failed", task["id"])

    @pytest.mark.parametrize(
        "body",
        [
            {"lease_token": "t"},
            {"error": {"code": "c", "message": "m"}},
            {"lease_token": "t", "error": None},
            {"lease_token": "t", "error": "x"},
            {"lease_token": "t", "error": {}},
            {"lease_token": "t", "error": {"code": "c"}},
            {"lease_token": "t", "error": {"message": "m"}},
            {"lease_token": "t", "error": {"code": "", "message": "m"}},
            {"lease_token": "t", "error": {"code": 1, "message": "m"}},
            {"lease_token": "t", "error": {"code": "c", "message": "m"}, "result": {}},
        ],
        ids=range(10),
    )
    def test_422_a_bad_body(self, same_client: ApiClient, body: dict[str, Any]) -> None:
        """Contract 5: bad body is 422."""
        refused(same_client.post(f"/api/tasks/{UNKNOWN}/fail", json=body), 422)

    def test_404_no_such_task(self, same_client: ApiClient) -> None:
        """Contract 5: a task that is not there is 404."""
        refused(fail(same_client, {"id": str(UNKNOWN), "lease_token": "t"}), 404)
