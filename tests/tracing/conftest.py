"""A collector for each test, and a tracer of this process that keeps what it records."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from app.tracing import tracer
from app.tracing.provider import ChosenIds
from app.tracing.recording import RecordingTracer
from tests.support.collector import Collector, running_collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@dataclass(frozen=True)
class Recorded:
    """The tracer of this process, and what it has recorded."""

    tracer: RecordingTracer
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    ids, exporter = ChosenIds(), InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = RecordingTracer(provider, ids)
    monkeypatch.setattr(tracer, "_tracer", made)
    return Recorded(made, exporter)
