"""The tracer that records: hostile values, hostile headers, requests of every kind."""

import time
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from app.tracing.provider import ChosenIds
from app.tracing.recording import RecordingTracer
from app.tracing.traceparent import parse, write
from app.worker.connections.call_span import CallSpan
from app.worker.connections.model_request import ModelRequest
from app.worker.connections.settings import Connection
from app.worker.connections.tokens import tokens_of
from app.worker.task import Task, TaskFailed
from tests.tracing.conftest import Recorded

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SETTINGS = Connection(base_url="https://api.openai.com/v1")


@pytest.mark.parametrize(
    "header",
    [
        "", "00", HEADER[:-3], f"{HEADER}-00", HEADER.upper(),
        HEADER.replace("00-", "ff-", 1), f" {HEADER}", f"{HEADER}\n",
        f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", "x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_traceparent_is_ignored(header: str, recorded: Recorded) -> None:
    assert parse(header) is None
    span = recorded.tracer.request(header, None, lambda: ("GET /", {}))
    assert span is not None
    span.end()
    assert recorded.spans[0].parent is None


def test_a_traceparent_is_read_as_it_is_written() -> None:
    assert write(*parse(HEADER) or ()) == HEADER
    assert parse(HEADER.replace("-01", "-00")) == (*parse(HEADER)[:2], False)  # type: ignore[index]


def test_the_caller_decides_whether_its_request_is_recorded(recorded: Recorded) -> None:
    assert recorded.tracer.request(HEADER.replace("-01", "-00"), None, lambda: ("GET /", {})) is None
    assert recorded.tracer.task("task", None, {}) is None
    assert recorded.tracer.call("chat", "nonsense", {}) is None
    assert recorded.spans == []


@pytest.mark.parametrize("batch_id", [None, 1])
def test_what_is_not_sampled_is_not_described(batch_id: int | None) -> None:
    tracer = RecordingTracer(TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False), ChosenIds())
    assert tracer.request(None, batch_id, lambda: pytest.fail("described")) is None
    assert not tracer.samples(1)


@pytest.mark.parametrize("value", [2**70, -(2**70), "\ud800 half", "x" * 1_000_000, ["\udfff"] * 1_000, float("nan")])
def test_a_value_of_any_kind_can_be_sent(recorded: Recorded, value: Any) -> None:
    recorded.tracer.record(1, f"decision {value}", time.time_ns(), {"interlock.value": value, "interlock.none": None})
    (span,) = recorded.spans
    assert span.attributes is not None
    assert set(span.attributes) == {"interlock.value"}
    assert len(encode_spans(recorded.spans).SerializeToString()) < 20_000


def task(traceparent: str | None = HEADER) -> Task:
    return Task("1", 7, 1, "ANALYZE", 1, {}, traceparent=traceparent)


def called(recorded: Recorded, path: str, body: dict[str, Any], answer: Any, settings: Connection = SETTINGS) -> Any:
    with CallSpan(task(), "lab", settings, ModelRequest(path, body)) as span:
        span.answered(answer, tokens_of(answer))
    (found,) = recorded.spans
    return found


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/chat/completions", {"model": "m"}, "chat m"),
        ("/responses", {"model": "m"}, "chat m"),
        ("/completions", {"model": "m"}, "text_completion m"),
        ("/embeddings", {"model": "m"}, "embeddings m"),
        ("/chat/completions", {}, "chat"),
    ],
)
def test_the_name_of_a_call(recorded: Recorded, path: str, body: dict[str, Any], name: str) -> None:
    assert called(recorded, path, body, {}).name == name


@pytest.mark.parametrize(
    ("base_url", "provider", "address", "port"),
    [
        ("https://api.openai.com/v1", "openai", "api.openai.com", 443),
        ("https://mine.openai.azure.com/openai", "azure.ai.openai", "mine.openai.azure.com", 443),
        ("https://api.mistral.ai/v1", "mistral_ai", "api.mistral.ai", 443),
        ("https://notapi.openai.com.example/v1", "lab", "notapi.openai.com.example", 443),
        ("http://10.0.0.1:8000/v1", "lab", "10.0.0.1", 8000),
        ("http://models/v1", "lab", "models", 80),
    ],
)
def test_the_provider_and_the_server(recorded: Recorded, base_url: str, provider: str, address: str, port: int) -> None:
    found = called(recorded, "/chat/completions", {"model": "m"}, {}, Connection(base_url=base_url)).attributes
    assert (found["gen_ai.provider.name"], found["server.address"], found["server.port"]) == (provider, address, port)


def test_the_attributes_of_a_call(recorded: Recorded) -> None:
    body = {
        "model": "m", "n": 2, "temperature": 0, "top_p": 0.5, "frequency_penalty": 1, "presence_penalty": -1, "seed": 3,
        "max_completion_tokens": 5, "response_format": {"type": "json_schema"}, "stop": ["secret"],
        "messages": [{"role": "user", "content": "secret"}],
    }  # fmt: skip
    usage = {
        "prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }  # fmt: skip
    choices = [{"finish_reason": "stop", "message": {"content": "secret"}}, {"finish_reason": "length"}]
    found = called(recorded, "/chat/completions", body, {"id": "i", "model": "m-1", "choices": choices, "usage": usage})
    assert dict(found.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.frequency_penalty": 1.0,
        "gen_ai.request.presence_penalty": -1.0,
        "gen_ai.request.seed": 3,
        "gen_ai.request.max_tokens": 5,
        "gen_ai.output.type": "json",
        "gen_ai.response.id": "i",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ("stop", "length"),
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "server.address": "api.openai.com",
        "server.port": 443,
        "interlock.connection": "lab",
    }


def test_the_attributes_of_a_call_for_vectors(recorded: Recorded) -> None:
    body = {"model": "m", "encoding_format": "float", "dimensions": 64, "input": "secret"}
    found = called(recorded, "/embeddings", body, {"model": "m-1", "usage": {"prompt_tokens": 9}, "data": []})
    assert dict(found.attributes) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.encoding_formats": ("float",),
        "gen_ai.embeddings.dimension.count": 64,
        "gen_ai.response.model": "m-1",
        "gen_ai.usage.input_tokens": 9,
        "server.address": "api.openai.com",
        "server.port": 443,
        "interlock.connection": "lab",
    }


@pytest.mark.parametrize("wrong", [None, True, "text", [], [1], {"type": 7}, 2**80, float("inf")])
def test_wrong_values_of_a_line_or_an_answer_are_left_out(recorded: Recorded, wrong: Any) -> None:
    names = ("n", "temperature", "top_p", "seed", "max_tokens", "response_format", "encoding_format", "dimensions")
    answer = dict.fromkeys(("id", "model", "choices", "usage"), wrong)
    found = called(recorded, "/chat/completions", {"model": "m", **dict.fromkeys(names, wrong)}, answer)
    assert found.name == "chat m"
    assert encode_spans([found]).SerializeToString()


def test_a_failure_is_its_code(recorded: Recorded) -> None:
    span = CallSpan(task(), "lab", SETTINGS, ModelRequest("/chat/completions", {"model": "m"}))
    with pytest.raises(TaskFailed), span:
        raise TaskFailed("server_error", "A secret message.")
    (found,) = recorded.spans
    assert found.attributes is not None
    assert found.attributes["error.type"] == "server_error"
    assert found.status.description is None


def test_a_call_of_a_batch_that_is_not_recorded_is_not(recorded: Recorded) -> None:
    with CallSpan(task(None), "lab", SETTINGS, ModelRequest("/chat/completions", {"model": "m"})) as span:
        span.answered({}, None)
    assert recorded.spans == []
