"""A line that a model server refuses with 429 to the end, while it answers others: the error file holds the 429."""

from pathlib import Path

import openai
import orjson

from tests.edges.scripted_server import Reply, ScriptedServer
from tests.support.server import SharedServers
from tests.v1.bodies import CHAT, chat, said
from tests.v1.hands import reach
from tests.v1.lines import create, read
from tests.v1.real_worker import real_worker

OTHERS = 300  # one is answered after nearly every 429, so that the 429s are the line's own
BUSY = {"error": {"message": "Rate limit reached for m.", "type": "requests", "param": None,
    "code": "rate_limit_exceeded"}}  # fmt: skip


def line(name: str, number: int = 0) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": f"<<{name}>>"}]}
    return orjson.dumps({"custom_id": f"{name}-{number}", "method": "POST", "url": CHAT, "body": body})


def test_a_429_to_the_end(module_servers: SharedServers, tmp_path: Path) -> None:
    server, models = module_servers("postgresql").server, ScriptedServer()
    headers = {"x-request-id": "req-busy", "Retry-After": "0"}
    models.replies = {"busy": [Reply(BUSY, 429, headers)], "free": [Reply(chat(said("a")))]}
    with (
        real_worker(server, models.url, tmp_path),
        openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.tokens["operator"]) as client,
    ):
        made = create(client, line("busy"), *(line("free", number) for number in range(OTHERS)))
        done = reach(client, made, "completed")
        (refused,), answered = read(client, done.error_file_id), read(client, done.output_file_id)
    models.stop()
    assert len(answered) == OTHERS
    assert refused["custom_id"] == "busy-0"
    assert refused["error"] is None
    assert refused["response"] == {"status_code": 429, "request_id": "req-busy", "body": BUSY}
