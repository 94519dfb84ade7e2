"""Starts the traces of a process, if they are configured; says what lacks, and goes on without them, if it lacks."""

import os
import platform

import structlog

from app.tracing.settings import NotSupported, are_wanted
from app.tracing.tracer import install

log = structlog.get_logger(__name__)

MISSING = "the packages of OpenTelemetry are not installed: pip install 'interlock[otel]'."


def start(service_name: str) -> None:
    """Start the traces of this process, which OTEL_SERVICE_NAME may name otherwise. Call it after a fork."""
    try:
        if not are_wanted(os.environ):
            return
    except NotSupported as error:
        log.warning("traces_off", reason=str(error))
        return
    try:
        from app.tracing.provider import ChosenIds, provider_of
        from app.tracing.recording import RecordingTracer
    except ImportError as error:
        log.warning("traces_off", reason=f"Traces are configured, but {MISSING} ({error})")
        return
    ids = ChosenIds()
    try:
        provider = provider_of(service_name, f"{platform.node()}:{os.getpid()}", ids)
    except Exception as error:  # whatever the SDK does not like in the environment
        log.warning("traces_off", reason=f"The OTEL_* variables are not valid: {error}")
        return
    install(RecordingTracer(provider, ids))
    log.info("traces_on")
