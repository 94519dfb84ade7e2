"""The client of Interlock's API: `Client`, and `AsyncClient` for programs on asyncio.

It needs httpx and nothing of the service. Answers are the JSON objects of the contract, typed in `interlock.shapes`;
each refusal is an exception of `interlock.errors`.
"""

from interlock._async.client import AsyncClient
from interlock._sync.client import Client

__all__ = ["AsyncClient", "Client"]
