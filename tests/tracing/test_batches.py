"""A batch is one trace: from its creation to its end, through service, worker and model server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock import Client
from interlock.errors import StateRefused
from tests.support.collector import Collector, ReceivedSpan
from tests.support.server import LiveServer, StartServer
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.connections.model_server import MisbehavingServer, saying

PROMPT, ANSWER = "A secret question about {document}?", "A secret answer."
CALLER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


@pytest.fixture
def model_server() -> Iterator[MisbehavingServer]:
    server = MisbehavingServer()
    server.answer = {"id": "chatcmpl-1", **saying(ANSWER)}
    yield server
    server.stop()


@pytest.fixture
def service(
    start_server: StartServer, database_url: str, collector: Collector, model_server: MisbehavingServer, tmp_path: Path
) -> LiveServer:
    """A service with its worker, which knows the model server; both send their spans."""
    connections = tmp_path / "connections.toml"
    connections.write_text(
        f'[lab]\nbase_url = "{model_server.url}"\nmodels = {{ "*" = {{ input = 1, output = 1 }} }}\n'
    )
    worker = {"EMBEDDED_WORKER": "1", "INTERLOCK_CONNECTIONS": str(connections), "INTERLOCK_WAIT_SECONDS": "0.5"}
    return start_server(database_url, **worker, **collector.settings)


@pytest.fixture
def client(service: LiveServer) -> Iterator[Client]:
    with Client(service.url, service.tokens["operator"]) as opened:
        yield opened


def create(client: Client) -> int:
    return client.create(
        "traced",
        documents=[{"name": "a.txt", "text": "A secret document."}],
        prompts=[{"name": "p", "text": PROMPT}],
        models=[{"connection": "lab", "model": "m", "params": {"temperature": 0.5, "max_tokens": 99, "seed": 7}}],
    )["id"]


def of_batch(spans: list[ReceivedSpan], batch_id: int) -> list[ReceivedSpan]:
    """The spans of the trace of a batch."""
    traces = {span.trace for span in spans if span.attributes.get("interlock.batch_id") == batch_id}
    assert len(traces) == 1
    return [span for span in spans if span.trace in traces]


def test_a_batch_is_one_trace(client: Client, service: LiveServer, collector: Collector) -> None:
    batch_id = create(client)
    client.act(batch_id, "stage", context={"run_when_staged": True}, reason="the weekly run")
    assert client.wait(batch_id, timeout_seconds=LIMIT_SECONDS)["state"] == "COMPLETED"
    wait_until(lambda: collector.named("task ANALYZE"))  # a worker that does not end in time is killed
    service.stop()  # what was not sent yet is sent now

    spans = of_batch(collector.spans, batch_id)
    (first,) = [span for span in spans if not span.parent]
    assert first.name == "decision create"
    assert {span.parent for span in spans} - {""} <= {span.id for span in spans}, "no part is missing"
    changes = {span.name.removeprefix("decision "): span for span in spans if span.name.startswith("decision ")}
    named = ("interlock.from_state", "interlock.to_state")
    moves = {name: tuple(each.attributes.get(end) for end in named) for name, each in changes.items()}
    assert moves == {
        "create": (None, "SAVED"),
        "stage": ("SAVED", "STAGING"),
        "staging_completed": ("STAGING", "STAGED"),
        "run": ("STAGED", "ANALYZING"),
        "tasks_finished": ("ANALYZING", "COMPLETED"),
    }
    staged = changes["stage"]
    assert (staged.attributes["interlock.action"], staged.attributes["interlock.version"]) == ("stage", 2)
    assert staged.attributes["interlock.reason"] == "the weekly run"
    assert staged.attributes["interlock.allowed"] is True
    (request,) = [span for span in spans if span.id == staged.parent]
    assert (request.kind, request.parent) == ("SERVER", first.id)
    assert request.attributes["http.response.status_code"] == 200
    assert sum(span.attributes["interlock.tasks"] for span in spans if span.name == "lease") == 2
    assert sum(span.attributes["interlock.completed"] for span in spans if span.name == "report") == 2
    assert {span.service for span in spans} == {"interlock", "interlock-worker"}
    _check_the_call(spans, first)
    assert not [body for body in collector.bodies if b"secret" in body]


def _check_the_call(spans: list[ReceivedSpan], first: ReceivedSpan) -> None:
    (task,) = [span for span in spans if span.name == "task ANALYZE"]
    assert (task.parent, task.attributes["interlock.outcome"]) == (first.id, "completed")
    (call,) = [span for span in spans if span.name == "chat m"]
    assert (call.parent, call.kind, call.is_error) == (task.id, "CLIENT", False)
    port = call.attributes.pop("server.port")
    assert isinstance(port, int)
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "lab",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.seed": 7,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "m-2026",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 20,
        "server.address": "127.0.0.1",
        "interlock.connection": "lab",
    }


def test_a_failed_call_is_an_error(
    client: Client, service: LiveServer, collector: Collector, model_server: MisbehavingServer
) -> None:
    model_server.order((400, {"error": {"message": "A secret reason."}}))
    batch_id = create(client)
    client.act(batch_id, "stage", context={"run_when_staged": True})
    client.wait(batch_id, timeout_seconds=LIMIT_SECONDS)
    wait_until(lambda: collector.named("task ANALYZE"))
    service.stop()
    (call,) = collector.named("chat m")
    (task,) = collector.named("task ANALYZE")
    assert (call.is_error, call.attributes["error.type"]) == (True, "request_refused")
    assert (task.is_error, task.attributes["error.type"]) == (True, "request_refused")
    assert not [body for body in collector.bodies if b"secret" in body]


def test_a_refusal_is_a_decision(client: Client, service: LiveServer, collector: Collector) -> None:
    batch_id = create(client)
    with pytest.raises(StateRefused) as refused:
        client.act(batch_id, "pause")
    service.stop()
    (span,) = collector.named("decision pause")
    attributes: dict[str, Any] = span.attributes
    assert attributes["interlock.allowed"] is False
    assert attributes["interlock.reason"] == refused.value.detail
    assert (attributes["interlock.outcome"], attributes["interlock.from_state"]) == ("state_refused", "SAVED")
    assert span in of_batch(collector.spans, batch_id)


def test_a_request_belongs_to_its_caller(client: Client, service: LiveServer, collector: Collector) -> None:
    """The request is in the caller's trace, the decision in that of the batch; each names the other."""
    batch_id = create(client)
    headers = {"traceparent": f"00-{CALLER[0]}-{CALLER[1]}-01"}
    client.call("POST", f"/api/batches/{batch_id}/action", body={"action": "stage"}, headers=headers)
    service.stop()
    (request,) = [span for span in collector.spans if span.parent == CALLER[1]]
    (decision,) = collector.named("decision stage")
    (first,) = collector.named("decision create")
    assert request.trace == CALLER[0]
    assert (decision.trace, decision.parent, decision.links) == (first.trace, first.id, {request.begun})
    assert request.links == {first.begun}


def test_the_log_of_a_request_names_its_trace(client: Client, service: LiveServer, collector: Collector) -> None:
    batch_id = create(client)
    client.act(batch_id, "stage")
    wait_until(lambda: collector.named("decision stage"))
    trace = collector.named("decision stage")[0].trace
    assert [line for line in service.log.read_text().splitlines() if trace in line and "batch_changed" in line]
