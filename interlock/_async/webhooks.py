"""The webhooks of a service, for admins: who gets messages, and what became of them."""

from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

from interlock._async.transport import AsyncTransport
from interlock.shapes import Delivery, TriedWebhook, Webhook

PATH = "/api/webhooks"


class AsyncWebhooks:
    """Creates, reads, changes and deletes webhooks. Every method may raise InterlockError."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(self) -> AsyncIterator[Webhook]:
        """Walk the webhooks, without their secrets."""
        return self._transport.rows(PATH, "webhooks")

    async def show(self, webhook_id: int) -> Webhook:
        """Read one webhook, without its secret."""
        return cast(Webhook, await self._transport.get(f"{PATH}/{webhook_id}"))

    async def create(self, url: str, types: Iterable[str], **more: Any) -> Webhook:
        """Create a webhook, with further fields of the contract. Only this answer has its secret."""
        body = {"url": url, "types": list(types), **more}
        return cast(Webhook, await self._transport.json("POST", PATH, body=body))

    async def change(self, webhook_id: int, **fields: Any) -> Webhook:
        """Change the given fields of a webhook; `enabled` starts and stops its messages."""
        return cast(Webhook, await self._transport.json("PATCH", f"{PATH}/{webhook_id}", body=fields))

    async def delete(self, webhook_id: int) -> None:
        """Delete a webhook: nothing more is sent to it."""
        await self._transport.json("DELETE", f"{PATH}/{webhook_id}")

    async def rotate(self, webhook_id: int) -> Webhook:
        """Make a new secret, which only this answer has; the one before it signs, too, for another day."""
        return cast(Webhook, await self._transport.json("POST", f"{PATH}/{webhook_id}/rotate"))

    async def test(self, webhook_id: int) -> TriedWebhook:
        """Send a test message now, and return what became of it."""
        return cast(TriedWebhook, await self._transport.json("POST", f"{PATH}/{webhook_id}/test"))

    def deliveries(self, webhook_id: int, *, status: str | None = None) -> AsyncIterator[Delivery]:
        """Walk the messages of a webhook, newest first."""
        return self._transport.rows(f"{PATH}/{webhook_id}/deliveries", "deliveries", {"status": status})

    async def replay(
        self,
        webhook_id: int,
        message_ids: Iterable[str] | None = None,
        *,
        since: str | None = None,
        until: str | None = None,
    ) -> int:
        """Send messages again: those with these ids, or those that failed from a time on. Return how many."""
        ids = {} if message_ids is None else {"message_ids": list(message_ids)}
        times = {name: at for name, at in (("since", since), ("until", until)) if at is not None}
        answer = await self._transport.json("POST", f"{PATH}/{webhook_id}/replay", body=ids | times)
        return int(answer["replayed"])
