"""What the standard OTEL_* variables say about traces. The SDK reads the others itself: headers, sampler, timeouts."""

from collections.abc import Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
DISABLED, EXPORTER = "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"
PROTOCOL = "http/protobuf"


class NotSupported(Exception):
    """Traces are configured in a way that Interlock has not. The message names the variable and what is possible."""


def are_wanted(environment: Mapping[str, str]) -> bool:
    """Whether traces are configured: an endpoint is set, or the exporter `otlp`. Raises NotSupported."""
    exporter = environment.get(EXPORTER, "").strip()
    if environment.get(DISABLED, "").strip().lower() == "true" or exporter == "none":
        return False
    if exporter not in ("", "otlp"):
        raise NotSupported(f"{EXPORTER} is {exporter}; otlp and none are supported.")
    if not exporter and not any(environment.get(name) for name in ENDPOINTS):
        return False
    for name in PROTOCOLS:
        if (protocol := environment.get(name, "").strip()) not in ("", PROTOCOL):
            raise NotSupported(f"{name} is {protocol}; {PROTOCOL} is supported.")
    return True
