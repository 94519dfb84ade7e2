"""Traces by OpenTelemetry: off unless OTEL_* variables configure them, and then without a cost. ADR 28."""
