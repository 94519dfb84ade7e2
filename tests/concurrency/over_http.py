"""A client of a running server."""

from typing import Any

import requests

from tests.support.waiting import LIMIT_SECONDS, wait_until

READY_LINE = b'{"custom_id": "%d", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}\n'


class Caller:
    """Calls with one token, over connections that it keeps; for one thread at a time."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._session.close()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """Call with JSON, or with bytes as they are; headers are named with underscores for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self._session.request(method, f"{self._url}/api{path}", **content, headers=named, timeout=LIMIT_SECONDS)

    def get(self, path: str) -> Any:
        """Read; raises AssertionError for any answer but 200."""
        return answered(self.send("GET", path))

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self.send("POST", path, body, **headers)

    def ask(self, batch_id: int, action: str, **headers: str) -> requests.Response:
        """Ask for an action."""
        return self.post(f"/batches/{batch_id}/action", {"action": action}, **headers)

    def act(self, batch_id: int, action: str) -> None:
        """Ask for an action that is done: at once, or after a while in the queue."""
        asked = self.ask(batch_id, action)
        assert self.versions_won([asked]), asked.text

    def versions_won(self, answers: list[requests.Response]) -> list[int]:
        """Wait until actions that were asked for are decided; return the versions that they made, in order.

        Where the lock of the batch is not free in time, the answer is 202: the request is decided in its turn.
        """
        assert {answer.status_code for answer in answers} <= {200, 202, 409, 412}
        won = [answer.json()["version"] for answer in answers if answer.status_code == 200]
        for answer in answers:
            if answer.status_code == 202:
                request = self.decided(answer.json()["request_id"])
                won += [request["version"]] if request["status"] == "APPLIED" else []
        return sorted(won)

    def decided(self, request_id: str) -> Any:
        """Wait until a request is out of the queue, and return it."""
        path = f"/requests/{request_id}"
        wait_until(lambda: self.get(path)["status"] != "QUEUED", "the end of a queued request")
        return self.get(path)

    def create_ready(self, tasks: int) -> int:
        """Create a batch of ready-made tasks; return its id."""
        lines = b"".join(READY_LINE % number for number in range(tasks))
        return int(answered(self.post("/batches?name=race", lines, Content_Type="application/jsonl"), 201)["id"])

    def analyzing(self, tasks: int) -> int:
        """Create a batch of up to 1,000 ready-made tasks, and bring it to ANALYZING; return its id."""
        batch_id = self.create_ready(tasks)
        self.act(batch_id, "stage")
        self.act(batch_id, "run")
        return batch_id

    def lease(self, most: int = 1, **more: Any) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = answered(self.post("/tasks/lease", {"worker": "w", "max_tasks": most, **more}))[
            "tasks"
        ]
        return tasks

    def complete(self, task: dict[str, Any], text: str = "an answer") -> requests.Response:
        body = {"lease_token": task["lease_token"], "result": {"text": text}}
        return self.post(f"/tasks/{task['id']}/complete", body)

    def batch(self, batch_id: int) -> Any:
        return self.get(f"/batches/{batch_id}")

    def audit(self, batch_id: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.get(f"/batches/{batch_id}/audit?limit=200")["audit"]
        return rows


def answered(response: requests.Response, status: int = 200) -> Any:
    """Assert an answer's status; return its body."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:600]}"
    return response.json()
