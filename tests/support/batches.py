"""A batch on a running service, as an operator sees it over HTTP."""

import json
from typing import Any

import requests

from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until


class Batch:
    """A batch on the real service, as an operator sees it."""

    def __init__(self, server: LiveServer, http: requests.Session, **body: Any) -> None:
        self.http, self.url = http, f"{server.url}/api/batches"
        if "lines" in body:
            headers = {"Content-Type": "application/jsonl"}
            made = http.post(f"{self.url}?name=lines", data=body["lines"], headers=headers, timeout=LIMIT_SECONDS)
        else:
            made = http.post(self.url, json={"name": "a batch", **body}, timeout=LIMIT_SECONDS)
        made.raise_for_status()
        self.url = f"{self.url}/{made.json()['id']}"

    def show(self) -> dict[str, Any]:
        return dict(self.http.get(self.url, timeout=LIMIT_SECONDS).json())

    def ask(self, action: str, **context: Any) -> None:
        body = {"action": action, "context": context}
        answer = self.http.post(f"{self.url}/action", json=body, timeout=LIMIT_SECONDS)
        assert answer.status_code == 200, answer.text

    def list_all(self, what: str) -> list[dict[str, Any]]:
        """Read all pages of `tasks`, `documents` or `audit`."""
        rows: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.http.get(f"{self.url}/{what}?limit=200" + cursor, timeout=LIMIT_SECONDS).json()
            rows += page[what]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        return rows

    def reach(self, state: str) -> dict[str, Any]:
        wait_until(lambda: self.show()["state"] in (state, "FAILED"))
        batch = self.show()
        assert batch["state"] == state, batch
        return batch

    def results(self) -> list[dict[str, Any]]:
        answer = self.http.get(f"{self.url}/results", timeout=LIMIT_SECONDS)
        return [json.loads(line) for line in answer.text.splitlines()]
