"""Makes the calls: signs them, repeats what may be repeated, and raises what is no success."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from interlock.answers import checked_token, checked_url, failure_of, is_local, may_repeat, no_answer, pause_seconds

CONNECT_SECONDS = 5.0
PIECE_BYTES = 1024 * 1024
PAGE_ROWS = 200


class AsyncTransport:
    """Makes calls to one service with one token. A POST gets an Idempotency-Key, so its repeats count once."""

    def __init__(self, url: str, token: str | None, timeout_seconds: float, retry_seconds: float) -> None:
        self.url = checked_url(url)
        self._retry_seconds = retry_seconds
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {checked_token(token)}"} if token else {},
            timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            trust_env=not is_local(self.url),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Make a call and return its answer. `file` is sent in pieces. Raises InterlockError."""
        given = dict(headers or {})
        if method == "POST":
            given.setdefault("Idempotency-Key", str(uuid.uuid4()))
        if body is not None:
            more["json"] = body
        ends_at, attempt = time.monotonic() + self._retry_seconds, 0
        while True:
            content: dict[str, Any] = {"content": _pieces(file)} if file else {}
            response: httpx.Response | None = None
            was_sent = True
            try:
                response = await self._http.request(
                    method, path, params=_asked(query), headers=given, **content, **more
                )
                if response.is_success:
                    return response
                failure = failure_of(response)
            except httpx.RequestError as error:
                was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                failure = no_answer(self.url, error)
            pause = pause_seconds(response, attempt)
            if not may_repeat(method, failure, was_sent) or time.monotonic() + pause > ends_at:
                raise failure
            await asyncio.sleep(pause)
            attempt += 1

    async def json(self, method: str, path: str, **more: Any) -> Any:
        """Make a call and return the JSON of its answer; None where it has no body. Raises InterlockError."""
        answer = await self.send(method, path, **more)
        return answer.json() if answer.content else None

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Read the JSON at a path. Raises InterlockError."""
        return await self.json("GET", path, query=query)

    async def rows(self, path: str, noun: str, query: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """Walk a list, page by page. Raises InterlockError."""
        cursor: str | None = None
        while True:
            page = await self.get(path, {**(query or {}), "limit": PAGE_ROWS, "cursor": cursor})
            for row in page[noun]:
                yield row
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def lines(self, path: str, query: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Stream the lines of an answer; one line is in memory at a time. Raises InterlockError."""
        async with self.stream(path, query) as pieces:
            rest = bytearray()
            async for piece in pieces:
                *whole, last = piece.split(b"\n")
                for line in whole:
                    rest += line
                    yield bytes(rest)
                    rest.clear()
                rest += last
            if rest:
                yield bytes(rest)

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open an answer that may be of any size, as pieces of its body. Raises InterlockError."""
        try:
            async with self._http.stream("GET", path, params=_asked(query)) as response:
                if not response.is_success:
                    await response.aread()
                    raise failure_of(response)
                yield response.aiter_bytes()
        except httpx.RequestError as error:
            raise no_answer(self.url, error) from error


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece


def _asked(query: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}
