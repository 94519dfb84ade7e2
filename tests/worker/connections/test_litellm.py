"""Against a real server of OpenAI's API: LiteLLM's proxy; and a batch seen through by service, worker and proxy."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from app.worker import TaskFailed
from app.worker.connections.handler import ConnectionHandler
from app.worker.connections.settings import Connection, Model
from app.worker.handlers import perform
from tests.support.server import ROOT, LiveServer
from tests.worker.conftest import wait_for
from tests.worker.connections.conftest import asking, line
from tests.worker.connections.litellm import MASTER_KEY, running

pytestmark = pytest.mark.timeout(800)  # the first run installs it
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("litellm")) as url:
        yield url


@pytest.fixture
def handler(address: str) -> Iterator[ConnectionHandler]:
    models = {"vectors": Model(input=1.0, embeddings=True), "*": Model(input=1.0, output=2.0)}
    made = ConnectionHandler("proxy", Connection(base_url=address, models=models, structured=True), MASTER_KEY)
    yield made
    made.close()


def test_it_answers_a_prompt(handler: ConnectionHandler) -> None:
    result = handler(asking(model="sum", params={"temperature": 0, "max_tokens": 20}))
    assert (result["text"], result["finish_reason"], result["model"]) == ("Four.", "stop", "sum")
    usage = result["usage"]
    assert usage["cost"] == pytest.approx((usage["input_tokens"] + 2 * usage["output_tokens"]) / 1_000_000)
    assert usage["input_tokens"] > 0


def test_it_answers_with_json_of_a_schema(handler: ConnectionHandler) -> None:
    report = orjson.loads(perform(handler, asking(model="object", schema=SCHEMA)).body)
    assert report["result"]["json"] == {"answer": 4}
    report = orjson.loads(perform(handler, asking(model="sum", schema=SCHEMA)).body)
    assert (report["error"]["code"], report["retryable"]) == ("schema_mismatch", True)
    assert report["error"]["usage"]["output_tokens"] > 0


def test_it_makes_vectors_and_answers_lines(handler: ConnectionHandler) -> None:
    assert handler(asking(model="vectors"))["embeddings"] == [[0.25, 0.5]]
    assert handler(line({"model": "vectors", "input": ["a"]}, "/v1/embeddings"))["embeddings"] == [[0.25, 0.5]]
    assert handler(line({"model": "sum", "messages": [{"role": "user", "content": "?"}]}))["text"] == "Four."


@pytest.mark.parametrize(
    ("model", "code", "retryable", "said"),
    [
        ("busy", "rate_limited", True, "mock rate limit"),
        ("broken", "server_error", True, "mock internal server error"),
        ("unknown", "request_refused", False, "Invalid model name"),
    ],
)
def test_its_failures_are_reported_for_what_they_are(
    handler: ConnectionHandler, model: str, code: str, retryable: bool, said: str
) -> None:
    with pytest.raises(TaskFailed) as caught:
        handler(asking(model=model))
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert said in caught.value.message


def test_a_batch_is_seen_through_and_the_service_learns_no_key(
    start_server: Callable[..., LiveServer], sqlite_url: str, address: str, tmp_path: Path
) -> None:
    server = start_server(sqlite_url)
    (tmp_path / "connections.toml").write_text(
        f'[proxy]\nbase_url = "{address}"\napi_key_env = "PROXY_KEY"\nmodels = {{ "*" = {{ input = 1, output = 2 }} }}'
    )
    batch = {
        "name": "sums", "documents": [{"name": f"{n}.txt", "text": f"{n} + {n}"} for n in range(3)],
        "prompts": [{"name": "sum", "text": "{document}?"}],
        "models": [{"connection": "proxy", "model": "sum"}, {"connection": "proxy", "model": "unknown"}],
    }  # fmt: skip
    settings = {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens["worker"], "PROXY_KEY": MASTER_KEY}
    command = [sys.executable, "-m", "app.worker", "--connections", str(tmp_path / "connections.toml")]
    with (tmp_path / "worker.log").open("wb") as log, server.session() as http:
        worker = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            made = http.post(f"{server.url}/api/batches", json=batch, timeout=10).json()
            url = f"{server.url}/api/batches/{made['id']}"
            for action, state in (("stage", "STAGED"), ("run", "COMPLETED")):
                http.post(f"{url}/action", json={"action": action}, timeout=10).raise_for_status()
                wait_for(lambda state=state: http.get(url, timeout=10).json()["state"] == state)
            rows = [orjson.loads(row) for row in http.get(f"{url}/results", timeout=10).content.splitlines()]
        finally:
            worker.terminate()
            assert worker.wait(30) == 0
    answered = [row for row in rows if row["model"] == "sum"]
    assert [row["result"]["text"] for row in answered] == ["Four."] * 3
    assert all(row["result"]["usage"]["cost"] > 0 for row in answered)
    assert {row["error"]["code"] for row in rows if row["model"] == "unknown"} == {"request_refused"}
    kept = [server.log, tmp_path / "worker.log", *Path(sqlite_url.removeprefix("sqlite:///")).parent.glob("*.db*")]
    assert len(kept) > 2
    assert not [path.name for path in kept if MASTER_KEY.encode() in path.read_bytes()]
