"""A collector of OpenTelemetry: takes spans by OTLP over HTTP, and answers what a test wants, or nothing."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.waiting import LIMIT_SECONDS


@dataclass(frozen=True)
class ReceivedSpan:
    """A span; ids as lower-case hexadecimal, `parent` is empty at the beginning of a trace."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: frozenset[tuple[str, str]]  # of trace and span
    attributes: dict[str, Any]
    is_error: bool
    service: str

    @property
    def begun(self) -> tuple[str, str]:
        """Its trace and its id."""
        return self.trace, self.id


class Collector:
    """`spans` has what came. While `gate` is not set, calls get no answer; `status` is answered to the others."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.bodies: list[bytes] = []
        self.asked = threading.Event()
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        mine = self

        class Handler(_Handler):
            collector = mine

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a process that sends its spans here, at once."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    def named(self, name: str) -> list[ReceivedSpan]:
        return [span for span in list(self.spans) if span.name == name]

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()
    try:
        yield collector
    finally:
        collector.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Be silent: a sender may have gone."""


class _Handler(BaseHTTPRequestHandler):
    collector: Collector
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def do_POST(self) -> None:
        mine = self.collector
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mine.asked.set()
        mine.gate.wait(LIMIT_SECONDS)
        if mine.status == 200:
            plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            mine.bodies.append(plain)
            mine.spans += _read(plain)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(mine.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def _read(body: bytes) -> Iterator[ReceivedSpan]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield ReceivedSpan(
                    span.name,
                    Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    _attributes(span.attributes),
                    span.status.code == Status.STATUS_CODE_ERROR,
                    str(resource["service.name"]),
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)
