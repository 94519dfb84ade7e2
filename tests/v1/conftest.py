"""The SDK of OpenAI, unmodified, on a server of the whole run."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import openai
import pytest
from openai.types import Batch

from tests.support.server import Shared, SharedServers
from tests.v1.hands import Hands

Sdk = Callable[..., openai.OpenAI]


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, shared_servers: SharedServers) -> Shared:
    """A server without a worker, once on each database."""
    return shared_servers(request.param)


@pytest.fixture
def sdk(shared: Shared) -> Iterator[Sdk]:
    """Make a client of a role: `sdk("viewer")`; it does not retry, unless the test says so."""
    with ExitStack() as opened:

        def make(role: str = "operator", retries: int = 0) -> openai.OpenAI:
            client = openai.OpenAI(
                base_url=f"{shared.server.url}/v1", api_key=shared.server.tokens[role], max_retries=retries
            )
            return opened.enter_context(client)

        yield make


@pytest.fixture
def client(sdk: Sdk) -> openai.OpenAI:
    return sdk()


@pytest.fixture
def hands(shared: Shared) -> Iterator[Callable[[Batch], Hands]]:
    """Make a worker that is moved by hand, for a batch."""
    with shared.server.session("worker") as http:
        yield lambda batch: Hands(shared.server, http, batch)
