"""Checks and reads the values of the command line. Every problem is a sentence for the person who typed them."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import click
import structlog

from app.worker.connections import settings
from app.worker.extraction.ocr import tesseract
from app.worker.named_functions import import_function
from app.worker.task import Handler

log = structlog.get_logger(__name__)
MAX_LANGUAGES = 8  # that are used if none are chosen: each one takes time
DEFAULT_CONNECTIONS = Path("connections.toml")


def checked_url(_: click.Context, __: click.Parameter, value: str) -> str:
    """Check the address of the service and return it without a slash at its end."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise click.BadParameter(f"{value!r} is not an address such as http://127.0.0.1:5000")
    return value.rstrip("/")


def checked_handlers(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Handler]:
    """Import the functions of `--handler NAME=MODULE:FUNCTION`."""
    handlers = {}
    for value in values:
        name, equals, function = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not written as CONNECTION=MODULE:FUNCTION")
        handlers[name] = checked_function(function)
    return handlers


def checked_function(name: str) -> Handler:
    """Import the function MODULE:FUNCTION."""
    try:
        return import_function(name)
    except ImportError as error:
        raise click.BadParameter(str(error)) from error


def read_token(token: str | None, token_file: Path | None) -> str:
    """Take the token from its file or its option. Raises click.UsageError when it is missing or malformed."""
    if token_file is not None:
        try:
            token = token_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"The token file {token_file} cannot be read: {error}.") from error
    token = (token or "").strip()
    if not token:
        raise click.UsageError("A worker's token is needed: give --token-file, or set INTERLOCK_TOKEN.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise click.UsageError("The token contains characters that no token has.")
    return token


def checked_languages(wanted: str | None) -> str:
    """Choose the languages of OCR among those that Tesseract has, and log them; '' for none."""
    if wanted == "none":
        return ""
    found = tesseract.languages()
    if wanted is None and not found:
        log.info("ocr_not_found", hint=tesseract.INSTALL)
        return ""
    if missing := sorted(set((wanted or "").split("+")) - {*found, ""}):
        message = f"Tesseract does not have {', '.join(missing)} here; it has {', '.join(found) or 'no language'}."
        raise click.BadParameter(message, param_hint="--ocr-languages")
    chosen = wanted or "+".join(found[:MAX_LANGUAGES])
    log.info("ocr_found", languages=chosen)
    return chosen


def connection_handlers(path: Path | None, executor: str) -> dict[str, Handler]:
    """Make the handlers of a file of connections. Raises click.BadParameter that names everything wrong in it."""
    path = path or (DEFAULT_CONNECTIONS if DEFAULT_CONNECTIONS.exists() else None)
    if path is None:
        return {}
    if executor != "threads":  # in several processes the rate limits would not be shared
        raise click.BadParameter(f"{path} needs --executor threads.", param_hint="--connections")
    from app.worker.connections.registry import handlers_of  # its SDK takes seconds to import

    try:
        return handlers_of(settings.read(path, os.environ))
    except settings.WrongConnections as error:
        raise click.BadParameter(str(error), param_hint="--connections") from error
