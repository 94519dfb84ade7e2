"""Calls of the API in plain Python: one connection, kept alive. Knows nothing of the service but its contract."""

import json
import time
from http.client import HTTPConnection
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 300
IDLE_SECONDS = 2.0  # a server hangs up on a connection that is idle for long: by then this side has done so
JSON, JSON_LINES = "application/json", "application/jsonl"


class WrongAnswer(RuntimeError):
    """The service answered something else than the benchmark can work with."""


class Caller:
    """One client with a token, on one connection."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._used_at = time.monotonic()

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: bytes | None = None, content_type: str = JSON) -> bytes:
        """Send a request and return the answer's body. Raises WrongAnswer unless it is a 2xx."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": content_type}
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._connection.close()  # the next request opens it again
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        self._used_at = time.monotonic()
        if not 200 <= response.status < 300:
            raise WrongAnswer(f"{method} {path}: {response.status} {answer[:500].decode(errors='replace')}")
        return answer

    def get(self, path: str) -> Any:
        return json.loads(self.send("GET", path))

    def post(self, path: str, body: Any) -> Any:
        return json.loads(self.send("POST", path, json.dumps(body).encode()))

    def act(self, batch_id: int, action: str, **context: Any) -> Any:
        """Ask for an action; return the answer."""
        return self.post(f"/api/batches/{batch_id}/action", {"action": action, "context": context})
