"""The tracer that records, by OpenTelemetry's SDK. Imported only if traces are configured.

What is not sampled costs one look at the id of its trace: no object of the SDK is made for it.
"""

import random
import threading
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from app.tracing.batch_trace import ids_of
from app.tracing.provider import OWNER, SCHEMA, SCOPE, ChosenIds
from app.tracing.traceparent import parse, write
from app.tracing.tracer import Attributes, Describe, Tracer, Value

FLUSH_SECONDS = 3.0  # for the last spans, when the process ends
KEPT_BATCHES = 10_000
LONGEST_TEXT, MOST_TEXTS = 1_000, 16
INTEGER = 2**63


class RecordedSpan:
    """A span that has begun."""

    def __init__(self, span: Span, current: "ContextVar[RecordedSpan | None] | None" = None) -> None:
        self.span = span
        self._current = current  # which this span leaves when it ends

    @property
    def traceparent(self) -> str:
        context = self.span.get_span_context()
        return write(context.trace_id, context.span_id)

    def end(self, attributes: Attributes | None = None, error: str | None = None) -> None:
        if not self.span.is_recording():
            return
        if self._current is not None:
            self._current.set(None)
        self.span.set_attributes(_known(attributes or {}))
        if error is not None:
            self.span.set_attribute("error.type", _text(error))
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()


class RecordingTracer(Tracer):
    """Records by the provider."""

    is_on = True

    def __init__(self, provider: TracerProvider, ids: ChosenIds) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(*SCOPE, schema_url=SCHEMA)
        self._ids = ids
        self._request: ContextVar[RecordedSpan | None] = ContextVar("request", default=None)
        self._owner = "/".join(str(provider.resource.attributes.get(name, "")) for name in OWNER)
        self._of_batch = lru_cache(KEPT_BATCHES)(self._find_batch)

    def traceparent_of(self, batch_id: int) -> str | None:
        found = self._of_batch(batch_id)
        return write(found.trace_id, found.span_id) if found else None

    def samples(self, batch_id: int) -> bool:
        return self._of_batch(batch_id) is not None

    def record(self, batch_id: int, name: str, began_ns: int, attributes: Attributes, is_first: bool = False) -> None:
        if (batch := self._of_batch(batch_id)) is None:
            return
        request = self._request.get()
        of_request = request.span.get_span_context() if request else None
        is_inside = of_request is not None and of_request.trace_id == batch.trace_id
        links = [Link(of_request)] if of_request is not None and not is_inside else None
        given: dict[str, Any] = {"attributes": _known(attributes), "links": links, "start_time": began_ns}
        if is_first:
            span = self._root(batch.trace_id, name, batch.span_id, **given)
        else:
            parent = of_request if is_inside and of_request is not None else batch
            span = self._tracer.start_span(_text(name), _below(parent), **given)
        span.end()

    def request(self, traceparent: str | None, batch_id: int | None, describe: Describe) -> RecordedSpan | None:
        self._request.set(None)
        caller = _remote(traceparent) if traceparent else None
        batch = None if batch_id is None else self._of_batch(batch_id)
        trace_id = 0 if caller or batch_id is not None else random.getrandbits(128) or 1
        if not (caller or batch or (trace_id and self._is_sampled(trace_id))):
            return None
        name, attributes = describe()
        given: dict[str, Any] = {"kind": SpanKind.SERVER, "attributes": _known(attributes)}
        if parent := caller or batch:
            links = [Link(batch)] if caller and batch else None
            span = self._tracer.start_span(_text(name), _below(parent), links=links, **given)
        else:
            span = self._root(trace_id, name, **given)
        if not span.is_recording():
            return None
        made = RecordedSpan(span, self._request)
        self._request.set(made)
        return made

    def task(self, name: str, traceparent: str | None, attributes: Attributes) -> RecordedSpan | None:
        return self._part(name, traceparent, SpanKind.CONSUMER, attributes)

    def call(self, name: str, traceparent: str | None, attributes: Attributes) -> RecordedSpan | None:
        return self._part(name, traceparent, SpanKind.CLIENT, attributes)

    def close(self) -> None:
        ending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)

    def _part(self, name: str, traceparent: str | None, kind: SpanKind, attributes: Attributes) -> RecordedSpan | None:
        if (parent := _remote(traceparent)) is None:
            return None
        span = self._tracer.start_span(_text(name), _below(parent), kind, _known(attributes))
        return RecordedSpan(span) if span.is_recording() else None

    def _root(self, trace_id: int, name: str, span_id: int | None = None, **given: Any) -> Span:
        self._ids.choose(trace_id, span_id)
        try:
            return self._tracer.start_span(_text(name), Context(), **given)
        finally:
            self._ids.choose()

    def _find_batch(self, batch_id: int) -> SpanContext | None:
        trace_id, span_id = ids_of(batch_id, self._owner)
        return _context(trace_id, span_id) if self._is_sampled(trace_id) else None

    def _is_sampled(self, trace_id: int) -> bool:
        return self._provider.sampler.should_sample(None, trace_id, SCOPE[0]).decision is Decision.RECORD_AND_SAMPLE


def _context(trace_id: int, span_id: int, is_sampled: bool = True) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)


def _remote(traceparent: str | None) -> SpanContext | None:
    found = parse(traceparent) if traceparent else None
    return _context(*found) if found else None


def _below(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _known(attributes: Attributes) -> dict[str, Any]:
    return {name: _sendable(value) for name, value in attributes.items() if value is not None}


def _sendable(value: Value) -> Value:
    """Make a value fit: one that cannot be encoded would cost all spans that are sent with it."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [str(_sendable(each)) for each in value[:MOST_TEXTS]]
    return min(max(value, -INTEGER), INTEGER - 1) if isinstance(value, int) else value


def _text(value: str) -> str:
    return value[:LONGEST_TEXT].encode("utf-8", "replace").decode()
