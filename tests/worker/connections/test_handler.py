"""The request that is sent to a model server, and the result that is read in its answer."""

from typing import Any

import orjson
import pytest

from app.worker import TaskFailed
from app.worker.handlers import perform
from tests.worker.connections.conftest import KEY, Connect, asking, line
from tests.worker.connections.model_server import ANSWER, MisbehavingServer, saying

PRICES = {"m": {"input": 1.0, "output": 2.0}, "vectors": {"input": 0.1, "embeddings": True}}
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


def test_a_prompt_is_sent_with_its_params_and_the_key(connect: Connect, model_server: MisbehavingServer) -> None:
    result = connect(models=PRICES)(asking(params={"temperature": 0, "max_tokens": 5, "top_k": 3}))
    path, headers, body = model_server.calls[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "m", "messages": [{"role": "user", "content": "2 + 2?"}],
        "temperature": 0, "max_tokens": 5, "top_k": 3,
    }  # fmt: skip
    usage = result.pop("usage")
    assert result == {"text": "Four.", "finish_reason": "stop", "model": "m-2026"}
    assert (usage["input_tokens"], usage["output_tokens"]) == (10, 20)
    assert usage["cost"] == pytest.approx(50 / 1_000_000)
    assert isinstance(usage["latency_ms"], int)


def test_without_a_key_none_is_sent_not_even_one_of_the_environment(
    connect: Connect, model_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    connect(key="")(asking())
    assert KEY not in str(model_server.calls)
    assert "authorization" not in model_server.calls[0][1]


def test_without_a_price_there_is_no_cost_and_without_counts_no_tokens(
    connect: Connect, model_server: MisbehavingServer
) -> None:
    assert "cost" not in connect()(asking())["usage"]
    for usage in (None, "many", {"prompt_tokens": "3"}, {"prompt_tokens": -1}):
        model_server.order({**ANSWER, "usage": usage})
        assert set(connect()(asking())["usage"]) == {"latency_ms"}


@pytest.mark.parametrize("structured", [True, False])
def test_a_schema_is_sent_if_the_server_supports_it(
    connect: Connect, model_server: MisbehavingServer, structured: bool
) -> None:
    model_server.answer = saying('{"answer": 4}')
    report = perform(connect(structured=structured), asking(schema=SCHEMA))
    assert orjson.loads(report.body)["result"]["json"] == {"answer": 4}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    assert model_server.calls[0][2].get("response_format") == (wanted if structured else None)


def test_an_answer_beside_the_schema_is_a_failed_attempt_that_cost_money(
    connect: Connect, model_server: MisbehavingServer
) -> None:
    model_server.answer = saying('{"answer": "four"}')
    report = orjson.loads(perform(connect(models=PRICES), asking(schema=SCHEMA)).body)
    assert (report["outcome"], report["retryable"], report["error"]["code"]) == ("failed", True, "schema_mismatch")
    assert "$.answer" in report["error"]["message"]
    assert report["error"]["usage"]["output_tokens"] == 20
    assert report["error"]["usage"]["cost"] > 0


def test_json_is_read_if_it_was_requested(connect: Connect, model_server: MisbehavingServer) -> None:
    model_server.answer = saying('```json\n{"a": 1}\n```')
    handler, wanted = connect(), {"response_format": {"type": "json_object"}}
    assert handler(asking(params=wanted))["json"] == {"a": 1}
    assert "json" not in handler(asking())
    model_server.answer = saying("no json")
    assert "json" not in handler(asking(params=wanted))


def test_a_model_of_embeddings_makes_vectors(connect: Connect, model_server: MisbehavingServer) -> None:
    rows = [{"index": 1, "embedding": [3.0]}, {"index": 0, "embedding": [1.0, 2.0]}]
    model_server.answer = {"data": rows, "usage": {"prompt_tokens": 1_000}}
    result = connect(models=PRICES)(asking("a text", model="vectors", params={"dimensions": 2}))
    path, _, body = model_server.calls[0]
    assert path == "/v1/embeddings"
    assert body == {"model": "vectors", "input": "a text", "dimensions": 2, "encoding_format": "float"}
    assert result["embeddings"] == [[1.0, 2.0], [3.0]]
    assert result["usage"]["cost"] == pytest.approx(0.0001)
    assert result["model"] == "vectors"


def test_ready_made_lines_say_endpoint_and_model(connect: Connect, model_server: MisbehavingServer) -> None:
    handler = connect(models=PRICES)
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], "seed": 1}
    assert handler(line(body))["usage"]["cost"] > 0
    model_server.order({"data": [{"index": 0, "embedding": [0.5]}]})
    texts = {"model": "vectors", "input": ["a", "b"]}
    assert handler(line(texts, "/v1/embeddings"))["embeddings"] == [[0.5]]
    assert [(path, body) for path, _, body in model_server.calls] == [
        ("/v1/chat/completions", body), ("/v1/embeddings", texts),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "task",
    [
        line({"model": "m"}, "/v1/images"),
        line("nonsense"),  # type: ignore[arg-type]
        line({"model": "m", "messages": [], "stream": True}),
        asking(params={"stream": True}),
    ],
)
def test_an_unsupported_request_fails_for_good(connect: Connect, model_server: MisbehavingServer, task: Any) -> None:
    with pytest.raises(TaskFailed) as caught:
        connect()(task)
    assert (caught.value.code, caught.value.retryable) == ("bad_request", False)
    assert not model_server.calls


def test_calls_of_tools_are_kept(connect: Connect, model_server: MisbehavingServer) -> None:
    model_server.answer = saying(None, "tool_calls", tool_calls=[{"id": "1"}])
    result = connect()(asking())
    assert (result["text"], result["tool_calls"]) == ("", [{"id": "1"}])


def test_a_withheld_answer_fails_for_good_and_was_paid(connect: Connect, model_server: MisbehavingServer) -> None:
    model_server.answer = saying("", "content_filter")
    with pytest.raises(TaskFailed) as caught:
        connect(models=PRICES)(asking())
    assert (caught.value.code, caught.value.retryable) == ("content_filter", False)
    assert caught.value.usage is not None
    assert caught.value.usage["cost"] > 0
