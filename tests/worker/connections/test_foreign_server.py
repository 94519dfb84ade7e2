"""Against a real server of OpenAI's API that is not ours: LLMock, from PyPI, in a process of its own.

Chosen over LiteLLM's proxy, which was tried: that pins packages of ours, so that it needs an environment of its own of
750 MB, made by the first run in one to three minutes. LLMock is a package of requirements-dev.txt, some seconds.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.worker import ConnectionClosed, TaskFailed
from app.worker.connections.handler import ConnectionHandler
from app.worker.connections.settings import Connection, Model
from app.worker.handlers import perform
from tests.support.batches import Batch
from tests.support.foreign_server import ForeignServer, foreign_server
from tests.support.process import PythonProcess
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS
from tests.worker.connections.conftest import KEY, asking, line

SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
TEXT = "Mock response from m."
FAIL: dict[str, Any] = {"type": "fail"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    with foreign_server(tmp_path_factory.mktemp("foreign")) as started:
        yield started


@pytest.fixture
def connect(server: ForeignServer) -> Iterator[Callable[..., ConnectionHandler]]:
    models = {"vectors": Model(input=1.0, embeddings=True), "*": Model(input=1.0, output=2.0)}
    made: list[ConnectionHandler] = []

    def make(**settings: Any) -> ConnectionHandler:
        made.append(ConnectionHandler("lab", Connection(base_url=server.url, models=models, **settings), KEY))
        return made[-1]

    yield make
    for handler in made:
        handler.close()


def test_it_answers_a_prompt(connect: Callable[..., ConnectionHandler]) -> None:
    result = connect()(asking(params={"temperature": 0, "max_tokens": 20}))
    assert (result["text"], result["finish_reason"], result["model"]) == (TEXT, "stop", "m")
    usage = result["usage"]
    assert usage["cost"] == pytest.approx((usage["input_tokens"] + 2 * usage["output_tokens"]) / 1_000_000)
    assert usage["input_tokens"] > 0


def test_it_answers_with_json_of_a_schema_where_it_is_asked_for_it(connect: Callable[..., ConnectionHandler]) -> None:
    report = orjson.loads(perform(connect(structured=True), asking(schema=SCHEMA)).body)
    assert isinstance(report["result"]["json"]["answer"], int)
    report = orjson.loads(perform(connect(structured=False), asking(schema=SCHEMA)).body)
    assert (report["error"]["code"], report["retryable"]) == ("schema_mismatch", True)
    assert report["error"]["usage"]["output_tokens"] > 0


def test_it_makes_vectors_and_answers_lines(connect: Callable[..., ConnectionHandler]) -> None:
    handler = connect()
    (row,) = handler(asking("a text", model="vectors"))["body"]["data"]
    assert len(row["embedding"]) > 1_000
    answered = handler(line({"model": "vectors", "input": ["a text"]}, "/v1/embeddings"))
    assert answered["body"]["data"] == [row]
    answered = handler(line({"model": "m", "messages": [{"role": "user", "content": "?"}]}))
    assert answered["body"]["choices"][0]["message"]["content"] == TEXT


@pytest.mark.parametrize(
    ("order", "error_class"),
    [
        ({"status": 429, "retry_after": 0, "times": 3}, "rate_limit"),
        ({"status": 500, "times": 2}, "outage"),
        ({"status": 503, "times": 2}, "outage"),
        ({"status": 401}, "access"),
        ({"status": 429, "code": "insufficient_quota"}, "access"),
    ],
    ids=str,
)
def test_its_failures_close_the_connection(
    server: ForeignServer, connect: Callable[..., ConnectionHandler], order: dict[str, Any], error_class: str
) -> None:
    server.order({**FAIL, **order, "message": "So it was ordered."})
    handler, changes = connect(), []
    handler.circuit.report = changes.append
    with pytest.raises(ConnectionClosed, match=r"So it was ordered\."):
        handler(asking())
    assert [change.error_class for change in changes if change.outcome == "failed"] == [error_class]


@pytest.mark.parametrize("order", [{"status": 404}, {"status": 400, "code": "context_length_exceeded"}], ids=str)
def test_a_refused_request_is_the_failure_of_its_task(
    server: ForeignServer, connect: Callable[..., ConnectionHandler], order: dict[str, Any]
) -> None:
    handler = connect()
    handler(asking())  # the server knows the model
    server.order({**FAIL, **order, "message": "So it was ordered."})
    with pytest.raises(TaskFailed, match=r"So it was ordered\.") as caught:
        handler(asking())
    assert (caught.value.code, caught.value.retryable, caught.value.critical) == ("request_refused", False, False)


def test_a_batch_is_seen_through_and_the_service_learns_no_key(
    start_server: Callable[..., LiveServer], sqlite_url: str, server: ForeignServer, tmp_path: Path
) -> None:
    service = start_server(sqlite_url)
    (tmp_path / "connections.toml").write_text(
        f'[lab]\nbase_url = "{server.url}"\napi_key_env = "LAB_KEY"\nmodels = {{ "*" = {{ input = 1, output = 2 }} }}'
    )
    server.order({**FAIL, "status": 404, "times": 3, "match": {"model": "unknown"}})
    settings = {"INTERLOCK_URL": service.url, "INTERLOCK_TOKEN": service.tokens["worker"], "LAB_KEY": KEY}
    command = ("-m", "app.worker", "--connections", str(tmp_path / "connections.toml"))
    with service.session() as http:
        worker = PythonProcess(*command, env={**os.environ, **settings}, output=tmp_path / "worker.log")
        try:
            batch = Batch(
                service, http, documents=[{"name": f"{n}.txt", "text": f"{n} + {n}"} for n in range(3)],
                prompts=[{"name": "sum", "text": "{document}?"}],
                models=[{"connection": "lab", "model": "m"}, {"connection": "lab", "model": "unknown"}],
            )  # fmt: skip
            batch.ask("stage")
            batch.reach("STAGED")
            batch.ask("run")
            batch.reach("COMPLETED")
            rows = [row for row in batch.results() if row["prompt"]]
        finally:
            worker.terminate()
            assert worker.wait(LIMIT_SECONDS) == 0
    answered = [row for row in rows if row["model"] == "m"]
    assert [row["result"]["text"] for row in answered] == [TEXT] * 3
    assert all(row["result"]["usage"]["cost"] > 0 for row in answered)
    assert [row["error"]["code"] for row in rows if row["model"] == "unknown"] == ["request_refused"] * 3
    kept = [service.log, tmp_path / "worker.log", *Path(sqlite_url.removeprefix("sqlite:///")).parent.glob("*.db*")]
    assert len(kept) > 2
    assert not [path.name for path in kept if KEY.encode() in path.read_bytes()]
