"""Calls the API on one connection that is kept alive, with the standard library only."""

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from types import TracebackType
from typing import IO, Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 300
PART_BYTES = 256 * 1024
IDLE_SECONDS = 2.0  # shorter than the server's keep-alive: this side closes an idle connection first
JSON, JSON_LINES = "application/json", "application/jsonl"


class WrongAnswer(RuntimeError):
    """The service gave an answer that the benchmark cannot use."""


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

    def send(self, method: str, path: str, body: bytes | IO[bytes] | None = None, content_type: str = JSON) -> bytes:
        """Send a request and return the answer's body. Raises WrongAnswer unless it is a 2xx."""
        response = self._answer(method, path, body, content_type)
        answer = response.read()
        self._used_at = time.monotonic()
        return answer

    def stream(self, path: str) -> Iterator[bytes]:
        """GET a large answer part by part. Raises WrongAnswer unless it is a complete 2xx."""
        response = self._answer("GET", path, None, JSON)
        try:
            while part := response.read(PART_BYTES):
                yield part
        except IncompleteRead as error:
            raise WrongAnswer(f"GET {path}: the answer breaks off") from error
        self._used_at = time.monotonic()

    def _answer(self, method: str, path: str, body: bytes | IO[bytes] | None, content_type: str) -> HTTPResponse:
        headers = self._headers if body is None else {**self._headers, "Content-Type": content_type}
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._connection.close()  # the next request opens it again
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        if not 200 <= response.status < 300:
            problem = response.read()[:500].decode(errors="replace")
            raise WrongAnswer(f"{method} {path}: {response.status} {problem}")
        return response

    def get(self, path: str) -> Any:
        return json.loads(self.send("GET", path))

    def post(self, path: str, body: Any) -> Any:
        return json.loads(self.send("POST", path, json.dumps(body).encode()))

    def act(self, batch_id: int, action: str, **context: Any) -> Any:
        """Request an action; return the answer."""
        return self.post(f"/api/batches/{batch_id}/action", {"action": action, "context": context})
