"""One model server over HTTP: a body in, the answer's JSON out, once; every failure as a TaskFailed.

The SDK's own retries are off: whether to try again is the service's decision, which counts attempts.
"""

import logging
import time
from collections.abc import Iterator
from typing import Any, cast

import httpx2
import openai
import orjson

from app.worker.connections.failures import failure_of
from app.worker.connections.settings import Connection
from app.worker.task import TaskFailed

MOST_BYTES = 64 * 1024 * 1024  # of an answer
BEGAN_AT = "interlock_began_at"

logging.getLogger("httpx2").setLevel(logging.WARNING)  # or there is a line for each call


class Bounded(httpx2.SyncByteStream):
    """An answer on its way, that may neither take for ever nor be endless: the SDK's timeouts are for each piece."""

    def __init__(self, stream: httpx2.SyncByteStream, ends_at: float) -> None:
        self._stream = stream
        self._ends_at = ends_at

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._stream:
            size += len(piece)
            if size > MOST_BYTES:
                raise httpx2.ReadError(f"the answer is larger than {MOST_BYTES} bytes")
            if time.monotonic() > self._ends_at:
                raise httpx2.ReadTimeout("the answer takes longer than total_seconds")
            yield piece

    def close(self) -> None:
        self._stream.close()


class ModelServer:
    """Calls for any number of threads, over one pool of connections."""

    def __init__(self, name: str, settings: Connection, key: str) -> None:
        self._name = name
        self._key = key
        # Without a key of ours the SDK would look for one in the environment, and send it to whatever server this is.
        self._options: openai.RequestOptions = {} if key else {"headers": {"Authorization": openai.Omit()}}
        self._client = openai.OpenAI(
            base_url=settings.base_url,
            api_key=key or "none",
            max_retries=0,
            http_client=self._http(settings),
        )

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST once. Raises TaskFailed for every answer but a whole one."""
        try:
            response = self._client.post(path, cast_to=httpx2.Response, body=body, options=self._options)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            raise failure_of(self._name, self._key, error) from None  # its traceback may hold what was asked
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise TaskFailed("bad_answer", f"{self._name} answers something that is not JSON, or half of it.") from None
        if not isinstance(answer, dict):
            raise TaskFailed("bad_answer", f"{self._name} answers {type(answer).__name__}, not an object.")
        return answer

    def close(self) -> None:
        self._client.close()

    def _http(self, settings: Connection) -> httpx2.Client:
        def began(request: httpx2.Request) -> None:
            request.extensions[BEGAN_AT] = time.monotonic()

        def bounded(response: httpx2.Response) -> None:
            stream = cast(httpx2.SyncByteStream, response.stream)
            response.stream = Bounded(stream, response.request.extensions[BEGAN_AT] + settings.total_seconds)

        return httpx2.Client(
            timeout=httpx2.Timeout(settings.read_seconds, connect=settings.connect_seconds),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=settings.concurrency or 100),
            follow_redirects=False,  # the key is for this address alone
            event_hooks={"request": [began], "response": [bounded]},
        )
