"""A worker that a test moves by hand, for one batch."""

from typing import Any

import openai
import requests
from openai.types import Batch

from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until


class Hands:
    """Leases and reports the lines of a batch over HTTP, as a worker does."""

    def __init__(self, server: LiveServer, http: requests.Session, batch: Batch) -> None:
        self._url = f"{server.url}/api/tasks"
        self._http = http
        self._number = int(batch.id.removeprefix("batch_"))

    def lease(self, most: int = 1, lease_seconds: int = 60) -> list[dict[str, Any]]:
        wanted = {"worker": "hands", "max_tasks": most, "batch_id": self._number, "lease_seconds": lease_seconds}
        tasks: list[dict[str, Any]] = self._call("lease", wanted)["tasks"]
        return tasks

    def complete(self, task: dict[str, Any], **result: Any) -> None:
        body = {"status_code": 200, "request_id": f"req-{task['id']}", "body": {"choices": [], "n": task["id"]}}
        self._report(task, outcome="completed", result={**body, **result})

    def complete_late(self, task: dict[str, Any]) -> None:
        """Report an answer that does not count any more."""
        result = {"status_code": 200, "request_id": "late", "body": {"choices": []}}
        assert self._verdict(task, outcome="completed", result=result)["status"] == 409

    def fail(self, task: dict[str, Any], **more: Any) -> None:
        error = {"code": "request_refused", "message": "no"}
        self._report(task, outcome="failed", **{"retryable": False, "error": error, **more})

    def release(self, task: dict[str, Any]) -> None:
        self._call("release", {"leases": [{"task_id": task["id"], "lease_token": task["lease_token"]}]})

    def complete_all(self) -> None:
        while tasks := self.lease(100):
            for task in tasks:
                self.complete(task)

    def _report(self, task: dict[str, Any], **report: Any) -> None:
        verdict = self._verdict(task, **report)
        assert verdict["status"] == 200, verdict

    def _verdict(self, task: dict[str, Any], **report: Any) -> dict[str, Any]:
        report |= {"task_id": task["id"], "lease_token": task["lease_token"]}
        (verdict,) = self._call("report", {"reports": [report]})["reports"]
        return dict(verdict)

    def _call(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(f"{self._url}/{what}", json=body, timeout=LIMIT_SECONDS)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def reach(client: openai.OpenAI, batch: Batch, *statuses: str) -> Batch:
    """Wait until a batch has one of these statuses."""
    seen: list[str] = []

    def reached() -> Batch | None:
        shown = client.batches.retrieve(batch.id)
        counts = shown.request_counts
        assert counts is not None
        assert counts.completed + counts.failed <= counts.total
        if shown.status not in seen:
            seen.append(shown.status)
        return shown if shown.status in statuses else None

    found = wait_until(reached, lambda: f"{statuses} of {batch.id}; seen: {seen}")
    assert found is not None
    return found
