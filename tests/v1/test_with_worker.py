"""From the SDK through the service and a real worker to a model server that is not ours, and back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.support.foreign_server import ForeignServer, foreign_server
from tests.support.server import Shared, SharedServers
from tests.v1 import event_loops
from tests.v1.hands import reach
from tests.v1.lines import create, input_file, line, read
from tests.v1.lossy_proxy import LossyProxy
from tests.v1.real_worker import real_worker

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, module_servers: SharedServers) -> Shared:
    return module_servers(request.param)


@pytest.fixture(scope="module")
def models(served: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """A model server, and a worker of the service that sends the lines there."""
    folder: Path = tmp_path_factory.mktemp("with-worker")
    with foreign_server(folder) as server, real_worker(served.server, server.url, folder):
        yield server


@pytest.fixture
def client(served: Shared, models: ForeignServer) -> Iterator[openai.OpenAI]:
    url, key = f"{served.server.url}/v1", served.server.tokens["operator"]
    with openai.OpenAI(base_url=url, api_key=key) as made:
        yield made


def test_the_whole_way(client: openai.OpenAI) -> None:
    """Upload, create, retrieve until completed, list with two pages, content, delete; as a program does it."""
    file_id = input_file(client, *(line(f"q{number}") for number in range(20)))
    batch = client.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window="24h")
    other = client.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window="24h")
    done = reach(client, batch, "completed")
    answers = read(client, done.output_file_id)
    assert [each["custom_id"] for each in answers] == [f"q{number}" for number in range(20)]
    for each in answers:
        assert each["response"]["status_code"] == 200
        assert each["response"]["body"]["choices"][0]["message"]["content"] == "Mock response from m."
    assert done.usage is not None
    assert done.usage.total_tokens == sum(each["response"]["body"]["usage"]["total_tokens"] for each in answers)
    reach(client, other, "completed")
    page = client.batches.list(limit=1)
    assert [page.data[0].id, page.get_next_page().data[0].id] == [other.id, batch.id]
    assert client.files.delete(file_id).deleted
    assert client.files.delete(str(done.output_file_id)).deleted


def test_the_asynchronous_client(served: Shared, models: ForeignServer) -> None:
    async def run() -> None:
        url, key = f"{served.server.url}/v1", served.server.tokens["operator"]
        async with openai.AsyncOpenAI(base_url=url, api_key=key) as client:
            lines = b'{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}}'
            file = await client.files.create(file=("in.jsonl", lines), purpose="batch")
            batch = await client.batches.create(
                input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"
            )
            while batch.status != "completed":
                await asyncio.sleep(0.05)
                batch = await client.batches.retrieve(batch.id)
            content = await client.files.content(str(batch.output_file_id))
            assert b'"embedding"' in content.content
            assert batch.id in [each.id async for each in client.batches.list(limit=2)]

    event_loops.run(run())


def test_cancelled_before_a_line_is_sent(client: openai.OpenAI, models: ForeignServer) -> None:
    """The run is paused at once by its budget: the model server is not called, and nothing is paid."""
    before = len(models.lines())
    made = create(client, *map(line, "ab"), metadata={"interlock.max_cost": "0"})
    assert client.batches.cancel(made.id).status in ("cancelling", "cancelled")
    done = reach(client, made, "cancelled")
    assert [each["custom_id"] for each in read(client, done.error_file_id)] == ["a", "b"]
    assert done.output_file_id is None
    assert len(models.lines()) == before


@pytest.mark.parametrize(("calls", "payments"), [(1, 1), (2, 2)])
def test_a_lost_answer_is_not_paid_for_twice(
    client: openai.OpenAI, served: Shared, models: ForeignServer, calls: int, payments: int
) -> None:
    """The answer to each call is lost once, and the client repeats it; two calls on purpose are two batches."""
    proxy = LossyProxy(served.server.url)
    file_id, before = input_file(client, line(f"paid {calls} times")), len(models.lines())
    try:
        with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=client.api_key, max_retries=2) as through:
            for _ in range(calls):
                proxy.lose["/v1/batches"] = 1
                through.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window="24h")
    finally:
        proxy.stop()
    assert proxy.retry_counts == ["0", "1"] * calls
    made = [each for each in client.batches.list(limit=20).data if each.input_file_id == file_id]
    for batch in made:
        reach(client, batch, "completed")
    assert len(made) == payments
    assert len(models.lines()) - before == 2 * payments  # each call is a line when it comes and when it is answered
