"""Logging: structlog over the standard library, one JSON line an event on stderr, plain text on a terminal.

What is bound to structlog's context variables (the edge binds `request_id` and `actor`) is in every line.
Secrets are never written: see `hide_secrets`.
"""

import logging
import re
import sys
from typing import TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor

SECRET_KEYS = frozenset({"token", "secret", "authorization", "admin_token", "lease_token", "password", "cookie"})
# Bearer tokens and passwords in URLs also hide inside sentences and tracebacks.
SECRET_TEXT = re.compile(r"(?i)(bearer\s+)[^\s'\"]+|(://[^:/@\s]+:)[^@\s]+(?=@)")
HIDDEN = "[hidden]"


def hide_secrets(_: object, __: str, event: EventDict) -> EventDict:
    """Replace secrets by `[hidden]`: values of telling names, bearer tokens, passwords in URLs."""
    return {key: HIDDEN if key in SECRET_KEYS else _hidden(value) for key, value in event.items()}


def _hidden(value: object) -> object:
    if isinstance(value, str):
        return SECRET_TEXT.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", value)
    if isinstance(value, dict):
        return {key: HIDDEN if key in SECRET_KEYS else _hidden(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(inner) for inner in value]
    return value


class StderrHandler(logging.StreamHandler[TextIO]):
    """Write to whatever sys.stderr is at the moment: a daemon or a test may have replaced it since."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise AttributeError("the stream is always sys.stderr")


def configure(level: str) -> None:
    """Send every log line of this process, the libraries' too, to stderr in one form. May be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if sys.stderr.isatty():
        last += [hide_secrets, structlog.dev.ConsoleRenderer()]
    else:
        last += [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer(_json)]
    handler = StderrHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _json(event: EventDict, **_: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
