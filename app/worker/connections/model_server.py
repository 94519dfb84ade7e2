"""One model server over HTTP: sends a body and returns the JSON of the answer. Every failure is a TaskFailed.

The SDK's own retries are off: the service counts attempts, and it decides whether there is another one.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import openai

from app.worker.answers.lenient_json import loads
from app.worker.connections.call_failed import CallFailed, ErrorClass
from app.worker.connections.failures import HIDDEN, failure_of, no_answer
from app.worker.connections.refusals import refusal_of
from app.worker.connections.settings import Connection
from app.worker.service.loopback import is_loopback
from app.worker.task import TaskFailed

MIN_SECRET_CHARACTERS = 16  # of a key; a shorter one may be a word of an answer
MAX_BYTES = 64 * 1024 * 1024  # of an answer
CHECK_SECONDS = 10.0  # for a call without a task
BEGAN_AT = "interlock_began_at"

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs a line for each call at INFO


class LimitedStream(httpx2.SyncByteStream):
    """The body of an answer with limits on its size and its whole time: the SDK's timeouts are for each part of it."""

    def __init__(self, stream: httpx2.SyncByteStream, ends_at: float) -> None:
        self._stream = stream
        self._ends_at = ends_at

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for part in self._stream:
            size += len(part)
            if size > MAX_BYTES:
                raise httpx2.ReadError(f"the answer is larger than {MAX_BYTES} bytes")
            if time.monotonic() > self._ends_at:
                raise httpx2.ReadTimeout("the answer takes longer than total_seconds")
            yield part

    def close(self) -> None:
        self._stream.close()


@dataclass(frozen=True)
class Reply:
    """A complete answer: its body, as far as it could be read, and its headers."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    request_id: str | None


class ModelServer:
    """Makes calls over one pool of connections. Any thread may use it."""

    def __init__(self, name: str, settings: Connection, key: str) -> None:
        self._name = name
        self._key = key
        # Without a key, the SDK would send the one that it finds in the environment. Omit prevents that.
        self._options: openai.RequestOptions = {} if key else {"headers": {"Authorization": openai.Omit()}}
        self._client = openai.OpenAI(
            base_url=settings.base_url,
            api_key=key or "none",
            max_retries=0,
            http_client=_http_client(settings),
        )

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        """POST once and return the answer. Raises TaskFailed unless it is a complete JSON object."""
        try:
            response = self._client.post(path, cast_to=httpx2.Response, body=body, options=self._options)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            failure = failure_of(self._name, self._key, error)
            if isinstance(error, openai.APIStatusError):
                failure.refusal = refusal_of(error, self._without_key(error.response.content))
            raise failure from None  # its traceback may contain the request
        try:
            answer = loads(self._without_key(response.content))
        except ValueError:  # perhaps the page of a proxy
            raise no_answer(self._name, "bad_answer", "gives an answer that is not complete JSON.", True) from None
        if not isinstance(answer, dict):
            raise TaskFailed("bad_answer", f"{self._name} answers with {type(answer).__name__}, not an object.")
        return Reply(answer, response.headers, response.headers.get("x-request-id"))

    def check(self) -> CallFailed | None:
        """Ask for the list of models; return why the server cannot be used, None if it answers."""
        options: openai.RequestOptions = {**self._options, "timeout": CHECK_SECONDS}
        try:
            self._client.get("/models", cast_to=httpx2.Response, options=options)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            failure = failure_of(self._name, self._key, error)
            if isinstance(failure, CallFailed) and failure.error_class != ErrorClass.MODEL:
                return failure
        return None

    def _without_key(self, content: bytes) -> bytes:
        """Remove a key that a server repeats: bodies are stored."""
        is_secret = len(self._key) >= MIN_SECRET_CHARACTERS
        return content.replace(self._key.encode(), HIDDEN.encode()) if is_secret else content

    def close(self) -> None:
        self._client.close()


def _http_client(settings: Connection) -> httpx2.Client:
    def note_start(request: httpx2.Request) -> None:
        request.extensions[BEGAN_AT] = time.monotonic()

    def limit(response: httpx2.Response) -> None:
        stream = cast(httpx2.SyncByteStream, response.stream)
        response.stream = LimitedStream(stream, response.request.extensions[BEGAN_AT] + settings.total_seconds)

    return httpx2.Client(
        timeout=httpx2.Timeout(settings.read_seconds, connect=settings.connect_seconds),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=settings.concurrency or 100),
        # The environment's proxies are used, except for a server on this machine: no proxy can reach it.
        mounts={"http://": None, "https://": None} if is_loopback(settings.base_url) else None,
        follow_redirects=False,  # the key is for this address only
        event_hooks={"request": [note_start], "response": [limit]},
    )
