"""The files of a batch hold what the model server sent, as JSON equal; through the real service and a real worker."""

from collections.abc import Iterator
from pathlib import Path

import openai
import orjson
import pytest
from openai.types import Batch

from app.domain.answer.endpoints import ENDPOINTS
from tests.edges.scripted_server import Reply, ScriptedServer
from tests.support.server import SharedServers
from tests.v1.bodies import BODIES
from tests.v1.hands import reach
from tests.v1.lines import read
from tests.v1.real_worker import real_worker

Ended = dict[str, tuple[Batch, list[dict[str, object]], list[dict[str, object]]]]  # by endpoint


def lines(url: str) -> bytes:
    asked = {"model": "m", "messages": [{"role": "user", "content": "?"}], "input": "?", "prompt": "?"}
    names = [name for name, sent in BODIES.items() if sent.url == url]
    return b"\n".join(
        orjson.dumps({"custom_id": name, "method": "POST", "url": url, "body": {**asked, "user": f"<<{name}>>"}})
        for name in names
    )


@pytest.fixture(scope="module")
def ended(module_servers: SharedServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """A batch for each endpoint, with its output and errors."""
    server, models = module_servers("postgresql").server, ScriptedServer()
    headers = {"x-request-id": "req-of-the-server"}
    models.replies |= {name: [Reply(sent.body, sent.status, headers)] for name, sent in BODIES.items()}
    folder: Path = tmp_path_factory.mktemp("bodies")
    with (
        real_worker(server, models.url, folder),
        openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.tokens["operator"]) as client,
    ):
        made = {}
        for endpoint in ENDPOINTS:
            file = client.files.create(file=("in.jsonl", lines(endpoint)), purpose="batch")
            made[endpoint] = client.batches.create(
                input_file_id=file.id,
                endpoint=endpoint,
                completion_window="24h",  # type: ignore[arg-type]
            )
        done = {endpoint: reach(client, batch, "completed") for endpoint, batch in made.items()}
        yield {
            endpoint: (batch, read(client, batch.output_file_id), read(client, batch.error_file_id))
            for endpoint, batch in done.items()
        }
    models.stop()


@pytest.mark.parametrize("name", BODIES)
def test_the_file_holds_what_the_server_sent(ended: Ended, name: str) -> None:
    sent = BODIES[name]
    _, output, errors = ended[sent.url]
    (found,) = [each for each in [*output, *errors] if each["custom_id"] == name]
    assert found["error"] is None
    assert found["response"] == {"status_code": sent.status, "request_id": "req-of-the-server", "body": sent.body}
    assert (found in errors) == (sent.status >= 400)


def test_the_tokens_are_added_up(ended: Ended) -> None:
    batch = ended["/v1/chat/completions"][0]
    chats = [sent for sent in BODIES.values() if sent.url == "/v1/chat/completions" and sent.status == 200]
    assert batch.usage is not None
    assert batch.usage.input_tokens == 9 * len(chats)
    assert batch.usage.output_tokens == 3 * len(chats)
    assert batch.usage.input_tokens_details.cached_tokens == 4 * len(chats)
    assert batch.usage.output_tokens_details.reasoning_tokens == 2 * len(chats)
