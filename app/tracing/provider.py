"""What sends spans: a provider of OpenTelemetry's SDK, as the OTEL_* variables say."""

import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from app.domain.version import VERSION

SCOPE = ("interlock", VERSION)
SCHEMA = "https://opentelemetry.io/schemas/1.41.1"
# The attributes of a resource that tell two services apart.
OWNER = ("service.namespace", "service.name", "deployment.environment.name")


class ChosenIds(RandomIdGenerator):
    """Gives the span that a thread begins next the ids that were chosen for it; else random ones."""

    def __init__(self) -> None:
        self._chosen = threading.local()

    def choose(self, trace_id: int | None = None, span_id: int | None = None) -> None:
        """Choose the ids of the next span of this thread."""
        self._chosen.trace_id, self._chosen.span_id = trace_id, span_id

    def generate_trace_id(self) -> int:
        return getattr(self._chosen, "trace_id", None) or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return getattr(self._chosen, "span_id", None) or super().generate_span_id()


UNNAMED = "unknown_service"


def provider_of(service_name: str, instance: str, ids: ChosenIds) -> TracerProvider:
    """Make a provider as the OTEL_* variables say. Its spans are sent by a thread of its own."""
    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED):
        found = found.merge(Resource({SERVICE_NAME: service_name}))
    resource = Resource({SERVICE_VERSION: VERSION, SERVICE_INSTANCE_ID: instance}).merge(found)
    provider = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
