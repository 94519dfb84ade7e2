"""Whether a batch is sampled follows from its id: every process has the same answer."""

import pytest

from app.tracing.batch_trace import ids_of
from interlock import Client
from tests.support.collector import Collector
from tests.support.server import StartServer

RATIO = 0.5
OWNER = "/interlock/"  # of a service without a namespace and an environment
SAMPLED_BELOW = round(RATIO * 2**64)


def is_sampled(batch_id: int) -> bool:
    return ids_of(batch_id, OWNER)[0] % 2**64 < SAMPLED_BELOW


def test_a_batch_is_sampled_by_its_id_in_each_process(
    start_server: StartServer, database_url: str, collector: Collector
) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(RATIO)}
    server = start_server(database_url, workers=2, **collector.settings, **sampler)
    document = {"documents": [{"name": "a.txt", "text": "One."}], "prompts": [{"name": "p", "text": "{document}"}]}
    ids = []
    for _ in range(16):  # each with connections of its own: both processes are asked
        with Client(server.url, server.tokens["operator"]) as client:
            made = client.create("sampled?", **document, models=[{"connection": "x", "model": "y"}])
            client.act(made["id"], "stage")
            ids.append(made["id"])
    with Client(server.url, server.tokens["worker"]) as client:
        body = {"worker": "w", "max_tasks": 100}
        leased = client.call("POST", "/api/tasks/lease", body=body).json()["tasks"]
    server.stop()
    chosen = {batch_id for batch_id in ids if is_sampled(batch_id)}
    assert chosen
    assert chosen != set(ids)
    for name in ("decision create", "decision stage", "lease"):
        assert {span.attributes["interlock.batch_id"] for span in collector.named(name)} == chosen
    requests = collector.named("POST /api/batches/<ident:batch_id>/action")
    assert {span.trace for span in requests} == {f"{ids_of(batch_id, OWNER)[0]:032x}" for batch_id in chosen}
    assert {task["batch_id"] for task in leased} == set(ids)
    for task in leased:
        trace, first = ids_of(task["batch_id"], OWNER)
        wanted = f"00-{trace:032x}-{first:016x}-01" if task["batch_id"] in chosen else None
        assert task.get("traceparent") == wanted


@pytest.mark.parametrize("batch_id", [1, 2, 2**62])
def test_ids_follow_from_the_batch_and_its_service(batch_id: int) -> None:
    trace, first = ids_of(batch_id, "a")
    assert (trace, first) == ids_of(batch_id, "a")
    assert 0 < trace < 2**128
    assert 0 < first < 2**64
    assert ids_of(batch_id, "b")[0] != trace
    assert ids_of(batch_id + 1, "a")[0] != trace


def test_one_in_a_hundred_is_one_in_a_hundred() -> None:
    sampled = sum(ids_of(number, OWNER)[0] % 2**64 < 2**64 // 100 for number in range(20_000))
    assert 120 < sampled < 290
