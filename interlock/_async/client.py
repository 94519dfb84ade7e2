"""The client: one method for each call of the API that operators and programs make."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from interlock._async.results import AsyncResults
from interlock._async.transport import PAGE_ROWS, AsyncTransport
from interlock._async.webhooks import AsyncWebhooks
from interlock.answers import DEFAULT_URL
from interlock.errors import TimedOut
from interlock.shapes import (
    AuditRow,
    Batch,
    Connection,
    Context,
    Decision,
    Document,
    PossibleAction,
    QueuedRequest,
    Report,
    Task,
    Token,
    Worker,
)

LONGEST_LOOK_SECONDS = 2.0  # between two looks at what is waited for


class AsyncClient:
    """Calls one service. Close it, or use it in a `with` block.

    Without arguments, INTERLOCK_URL and INTERLOCK_TOKEN say where the service is and who calls. A call that met a busy
    or absent service is repeated for up to `retry_seconds`; each POST has an Idempotency-Key, so it counts once. Every
    method may raise InterlockError.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        retry_seconds: float = 30.0,
    ) -> None:
        given = url or os.environ.get("INTERLOCK_URL") or DEFAULT_URL
        self._transport = AsyncTransport(
            given, token or os.environ.get("INTERLOCK_TOKEN"), timeout_seconds, retry_seconds
        )
        self.url = self._transport.url
        self.webhooks = AsyncWebhooks(self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    # Batches

    def batches(self, *, state: str | None = None, name: str | None = None) -> AsyncIterator[Batch]:
        """Walk the batches, newest first; `name` is a part of the name."""
        return self._transport.rows("/api/batches", "batches", {"state": state, "name": name})

    async def batch(self, batch_id: int) -> Batch:
        """Read one batch."""
        return cast(Batch, await self._transport.get(f"/api/batches/{batch_id}"))

    async def create(
        self,
        name: str | None = None,
        *,
        documents: Iterable[Mapping[str, Any]] | None = None,
        prompts: Iterable[Mapping[str, Any]] | None = None,
        models: Iterable[Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
        copy_of: int | None = None,
        description: str | None = None,
    ) -> Batch:
        """Create a batch; what is not named is that of the batch `copy_of`, if there is one."""
        lists = {"documents": documents, "prompts": prompts, "models": models}
        body: dict[str, Any] = {key: list(rows) for key, rows in lists.items() if rows is not None}
        others = {"name": name, "options": options, "from": copy_of, "description": description}
        body |= {key: value for key, value in others.items() if value is not None}
        return cast(Batch, await self._transport.json("POST", "/api/batches", body=body))

    async def create_from_lines(self, name: str, file: str | Path, *, on_truncated: str | None = None) -> Batch:
        """Create a batch of ready-made tasks: a file of JSON lines in the form of OpenAI's Batch API."""
        path = Path(file)
        headers = {"Content-Type": "application/jsonl"} | ({"Content-Encoding": "gzip"} if path.suffix == ".gz" else {})
        query = {"name": name, "on_truncated": on_truncated}
        return cast(Batch, await self._transport.json("POST", "/api/batches", query=query, file=path, headers=headers))

    async def rename(
        self, batch_id: int, name: str | None = None, *, description: str | None = None, if_version: int | None = None
    ) -> Batch:
        """Change the name or the description of a batch."""
        body = {key: value for key, value in (("name", name), ("description", description)) if value is not None}
        return cast(
            Batch,
            await self._transport.json("PATCH", f"/api/batches/{batch_id}", body=body, headers=_match(if_version)),
        )

    async def replace_input(self, batch_id: int, **parts: Any) -> Batch:
        """Replace the `prompts` or `models` of a batch, or change some of its `options`."""
        return cast(Batch, await self._transport.json("PUT", f"/api/batches/{batch_id}/input", body=parts))

    async def archive(self, batch_id: int, *, if_version: int | None = None) -> None:
        """Archive a batch. There is no way back."""
        await self._transport.json("DELETE", f"/api/batches/{batch_id}", headers=_match(if_version))

    async def add_documents(self, batch_id: int, documents: Iterable[Mapping[str, Any]]) -> Batch:
        """Add documents as texts, up to 10,000."""
        body = {"documents": list(documents)}
        return cast(Batch, await self._transport.json("POST", f"/api/batches/{batch_id}/documents", body=body))

    async def add_files(self, batch_id: int, files: Sequence[str | Path]) -> Batch:
        """Add files as documents, up to 1,000; together they may be as large as one body."""
        with ExitStack() as opened:
            parts = [("files", (Path(file).name, opened.enter_context(open(file, "rb")).read())) for file in files]
        return cast(Batch, await self._transport.json("POST", f"/api/batches/{batch_id}/documents", files=parts))

    def documents(self, batch_id: int) -> AsyncIterator[Document]:
        """Walk the documents of a batch."""
        return self._transport.rows(f"/api/batches/{batch_id}/documents", "documents", {})

    async def erase_document(self, batch_id: int, document_id: int, *, reason: str | None = None) -> Batch:
        """Erase a document and all answers about it."""
        path = f"/api/batches/{batch_id}/documents/{document_id}"
        return cast(Batch, await self._transport.json("DELETE", path, query={"reason": reason}))

    # Actions

    async def actions(self, batch_id: int) -> list[PossibleAction]:
        """List each action, and why it is not possible now."""
        return cast(list[PossibleAction], (await self._transport.get(f"/api/batches/{batch_id}/actions"))["actions"])

    async def act(
        self,
        batch_id: int,
        action: str,
        *,
        reason: str | None = None,
        context: Mapping[str, Any] | None = None,
        if_version: int | None = None,
        dry_run: bool = False,
    ) -> Decision:
        """Request an action. It is done, queued (`success` is null: see `settled`), or raises the refusal."""
        whole: Context = dict(context or {}) | ({} if reason is None else {"reason": reason})
        body = {"action": action, "context": whole} | ({"dry_run": True} if dry_run else {})
        path = f"/api/batches/{batch_id}/action"
        return cast(Decision, await self._transport.json("POST", path, body=body, headers=_match(if_version)))

    def requests(self, batch_id: int) -> AsyncIterator[QueuedRequest]:
        """Walk the requests of a batch that were queued, and their outcomes."""
        return self._transport.rows(f"/api/batches/{batch_id}/requests", "requests", {})

    async def request(self, request_id: str) -> QueuedRequest:
        """Read one queued request."""
        return cast(QueuedRequest, await self._transport.get(f"/api/requests/{request_id}"))

    async def settled(self, request_id: str, *, timeout_seconds: float = 120.0) -> QueuedRequest:
        """Wait until a queued request is decided or expired. Raises TimedOut."""
        waiting = _Waiting(timeout_seconds)
        while (found := await self.request(request_id))["status"] == "QUEUED":
            await asyncio.sleep(waiting.next_look(f"The request {request_id} is still queued."))
        return found

    async def wait(
        self, batch_id: int, states: Collection[str] | None = None, *, timeout_seconds: float | None = None
    ) -> Batch:
        """Wait until a batch is in one of the states, or, without states, until it has ended. Raises TimedOut."""
        waiting = _Waiting(timeout_seconds)
        while True:
            batch = await self.batch(batch_id)
            if batch["state"] in states if states is not None else batch["finished_at"]:
                return batch
            await asyncio.sleep(waiting.next_look(f"Batch {batch_id} is {batch['state']}."))

    # What a batch has

    def audit(self, batch_id: int) -> AsyncIterator[AuditRow]:
        """Walk the audit trail, oldest first."""
        return self._transport.rows(f"/api/batches/{batch_id}/audit", "audit", {})

    def tasks(self, batch_id: int, *, status: str | None = None, run: int | None = None) -> AsyncIterator[Task]:
        """Walk the tasks of a run."""
        return self._transport.rows(f"/api/batches/{batch_id}/tasks", "tasks", {"status": status, "run": run})

    async def task(self, task_id: str) -> Task:
        """Read one task whole."""
        return cast(Task, await self._transport.get(f"/api/tasks/{task_id}"))

    def results(self, batch_id: int, *, run: int | None = None) -> AsyncResults:
        """Return the results of a run: to walk, or `to_parquet(path)`, or `to_pandas()`."""
        return AsyncResults(self._transport, batch_id, run)

    async def report(self, batch_id: int, *, run: int | None = None, cursor: str | None = None) -> Report:
        """Read a page of the report of a run; the first page has the sums."""
        query = {"run": run, "cursor": cursor, "limit": PAGE_ROWS}
        return cast(Report, await self._transport.get(f"/api/batches/{batch_id}/report", query))

    # The service

    def connections(self) -> AsyncIterator[Connection]:
        """Walk the connections and their circuits."""
        return self._transport.rows("/api/connections", "connections", {})

    async def workers(self, *, name: str | None = None) -> list[Worker]:
        """List the workers of the last seven days."""
        return cast(list[Worker], (await self._transport.get("/api/workers", {"name": name}))["workers"])

    def activity(self, **filters: str | None) -> AsyncIterator[dict[str, Any]]:
        """Walk the changes of all batches, newest first, by `actor`, `trigger`, `state`, `since` and `until`."""
        return self._transport.rows("/api/activity", "activity", filters)

    def tokens(self) -> AsyncIterator[Token]:
        """Walk the tokens, without their secrets."""
        return self._transport.rows("/api/tokens", "tokens", {})

    async def create_token(self, name: str, role: str, *, expires_at: str | None = None) -> Token:
        """Create a token. Only this answer has its secret."""
        body = {"name": name, "role": role, "expires_at": expires_at}
        return cast(Token, await self._transport.json("POST", "/api/tokens", body=body))

    async def revoke_token(self, token_id: int) -> None:
        """Revoke a token."""
        await self._transport.json("DELETE", f"/api/tokens/{token_id}")

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Make any call, with `query`, `body` and `headers`, and return its answer."""
        return await self._transport.send(method.upper(), path, **more)

    async def stream(self, path: str, **query: Any) -> AsyncIterator[bytes]:
        """Walk the pieces of an answer that may be of any size."""
        async with self._transport.stream(path, query) as pieces:
            async for piece in pieces:
                yield piece


class _Waiting:
    """Says how long to wait before the next look: longer each time, and not beyond the limit."""

    def __init__(self, timeout_seconds: float | None) -> None:
        self._ends_at = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._seconds = 0.1

    def next_look(self, message: str) -> float:
        """Return the seconds until the next look. Raises TimedOut with the message."""
        seconds = self._seconds
        self._seconds = min(seconds * 1.5, LONGEST_LOOK_SECONDS)
        if self._ends_at is None:
            return seconds
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimedOut(message)
        return min(seconds, left)


def _match(if_version: int | None) -> dict[str, str]:
    return {} if if_version is None else {"If-Match": f'"{if_version}"'}
