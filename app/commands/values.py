"""Values of flags: NAME=VALUE pairs, texts of files, prompts and models."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from app.domain.transitions import BatchState

STATES = click.Choice([state.value for state in BatchState], case_sensitive=False)
BATCH = click.IntRange(1)


def pairs(values: Iterable[str], flag: str) -> dict[str, Any]:
    """Read NAME=VALUE pairs: a value is JSON where it can be, else a text; `none` is null."""
    found: dict[str, Any] = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{each!r} is not written as NAME=VALUE, as in max_cost=2.", param_hint=flag)
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text == "none":
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def text_of(value: str) -> str:
    """Return a text, or the content of the file in `@FILE`."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.UsageError(f"The file {value[1:]} cannot be read: {reason}.") from error


def prompts_of(texts: Iterable[str]) -> list[dict[str, str]]:
    """Make prompts, with a number as their name where there are several."""
    read = [text_of(text) for text in texts]
    names = ["prompt"] if len(read) == 1 else [f"prompt {number}" for number in range(1, len(read) + 1)]
    return [{"name": name, "text": text} for name, text in zip(names, read, strict=True)]


def models_of(names: Iterable[str]) -> list[dict[str, str]]:
    """Read CONNECTION/MODEL: all after the first slash is the model."""
    found = []
    for each in names:
        connection, slash, model = each.partition("/")
        if not (connection and slash and model):
            raise click.BadParameter(
                f"{each!r} is not written as CONNECTION/MODEL, as in local/textstats.", param_hint="--model"
            )
        found.append({"connection": connection, "model": model})
    return found
