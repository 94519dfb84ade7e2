"""Logging: structlog on top of the standard library. One line of JSON for each event on stderr; text on a terminal.

Every line contains the values in structlog's context variables, such as `request_id` and `actor` of a request.
Secrets are never written: see `hide_secrets`.
"""

import logging
import re
import sys
from contextlib import suppress
from typing import TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor

SECRET_KEYS = frozenset({"token", "secret", "authorization", "admin_token", "lease_token", "password", "cookie"})
# Messages and tracebacks may contain bearer tokens and passwords in URLs, too.
SECRET_TEXT = re.compile(r"(?i)(bearer\s+)[^\s'\"]+|(://[^:/@\s]+:)[^@\s]+(?=@)")
HIDDEN = "[hidden]"
_SIGNS = ("://", "bearer", *(f'"{key}":' for key in SECRET_KEYS))  # a rendered line without them has no secret


def hide_secrets(_: object, __: str, event: EventDict) -> EventDict:
    """Replace secrets by `[hidden]`: values under the names in SECRET_KEYS, bearer tokens, passwords in URLs."""
    return {key: HIDDEN if key in SECRET_KEYS else _hidden(value) for key, value in event.items()}


def _hidden(value: object) -> object:
    if isinstance(value, str):
        if "://" not in value and "bearer" not in value.lower():  # a look costs less than the pattern
            return value
        return SECRET_TEXT.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", value)
    if isinstance(value, dict):
        return {key: HIDDEN if key in SECRET_KEYS else _hidden(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(inner) for inner in value]
    return value


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the present sys.stderr: a daemon or a test may replace it at any time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise AttributeError("the stream is always sys.stderr")


class StderrLogger:
    """Writes the project's own lines, which are complete when they get here, without a record of `logging`."""

    def __init__(self, logger: logging.Logger) -> None:
        self.name = logger.name
        self.disabled, self.getEffectiveLevel = False, logger.getEffectiveLevel  # for filter_by_level

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):  # a full disk or a closed pipe: what is logged has been done all the same
            sys.stderr.write(f"{line}\n")  # at once, and as a whole: stderr is flushed at line ends

    debug = info = warning = error = critical = exception = write


def configure(level: str) -> None:
    """Send all log lines of this process and its libraries to stderr in one format. May be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]
    if sys.stderr.isatty():
        last: list[Processor] = [hide_secrets, structlog.dev.ConsoleRenderer()]
    else:
        last = [structlog.processors.format_exc_info, _line]
    of_libraries = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = StderrHandler()
    handler.setFormatter(of_libraries)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    named = structlog.stdlib.LoggerFactory(ignore_frame_names=[__name__])
    in_use = structlog.get_config()["processors"]  # changed in place: a logger keeps the list that it began with
    in_use[:] = [structlog.stdlib.filter_by_level, *shared, *last]
    structlog.configure(
        processors=in_use,
        logger_factory=lambda *names: StderrLogger(named(*names)),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _line(logger: object, name: str, event: EventDict) -> str:
    """Render a line of JSON. Its values are looked at one by one only if the whole may have a secret."""
    line = _json(event)
    text = line.lower()
    if any(each in text for each in _SIGNS):
        return _json(hide_secrets(logger, name, event))
    return line


def _json(event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
