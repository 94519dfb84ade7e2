"""Reads and checks `connections.toml`, which has one table for each connection.

The file contains no keys: `api_key_env` names the environment variable of each key.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.worker.connections.tokens import Tokens

READY_MADE = "jsonl"  # the setting outside the tables that names the connection of ready-made tasks
ANY_MODEL = "*"
Price = Annotated[float, Field(ge=0, le=1e9)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
PerMinute = Annotated[int, Field(ge=1, le=10**9)]


class WrongConnections(Exception):
    """The file is wrong. The message has a line for each wrong value."""


class Table(BaseModel):
    """A table with exactly these fields. Their types are strict: a text is not accepted for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Model(Table):
    """The prices of a model, per million tokens, and its limit. A model with `embeddings` returns vectors."""

    input: Price
    output: Price = 0.0
    cached_input: Price | None = None  # of input tokens that the server had cached; None means the price of input
    embeddings: bool = False
    context_tokens: Annotated[int, Field(ge=1, le=10**9)] | None = None  # of request and answer together

    def cost(self, tokens: Tokens) -> float:
        cached = tokens.cached or 0
        price = self.input if self.cached_input is None else self.cached_input
        return ((tokens.input - cached) * self.input + cached * price + tokens.output * self.output) / 1_000_000


class Connection(Table):
    """One model server: its address, its models and its limits. None means no limit."""

    base_url: str
    api_key_env: Annotated[str, Field(min_length=1)] | None = None
    models: dict[str, Model] = Field(default_factory=dict)
    structured: bool = False  # whether it supports response_format json_schema
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    connect_seconds: Seconds = 5.0
    read_seconds: Seconds = 300.0
    total_seconds: Seconds = 600.0

    @field_validator("base_url")
    @classmethod
    def an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is not an address such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("contains more than an address: put the key into the variable that api_key_env names")
        return value.rstrip("/")

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.connect_seconds > self.total_seconds or self.read_seconds > self.total_seconds:
            raise ValueError("total_seconds is shorter than connect_seconds or read_seconds")
        return self

    def model(self, name: str) -> Model | None:
        """Find a model's own prices, or those of `*`."""
        return self.models.get(name) or self.models.get(ANY_MODEL)


@dataclass(frozen=True)
class Connections:
    """The contents of a file, and the keys that it names."""

    tables: dict[str, Connection]
    ready_made: str | None = None
    keys: dict[str, str] = field(default_factory=dict, repr=False)


def read(path: Path, environment: Mapping[str, str]) -> Connections:
    """Read a file and the keys that it names. Raises WrongConnections."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongConnections(f"{path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise WrongConnections(f"{path} is not TOML: {error}.") from error
    ready_made = content.pop(READY_MADE, None)
    tables: dict[str, Connection] = {}
    wrong = list(_check_tables(content, tables))
    if ready_made is not None and ready_made not in content:
        wrong.append(f"{READY_MADE}: {ready_made!r} is not the name of a table of this file")
    keys = {name: environment.get(table.api_key_env, "") for name, table in tables.items() if table.api_key_env}
    wrong += [
        _wrong_key(name, str(tables[name].api_key_env), key) for name, key in keys.items() if not _is_valid_key(key)
    ]
    if wrong:
        raise WrongConnections("\n".join([f"{path} has wrong values:", *wrong]))
    return Connections(tables, ready_made, keys)


def _check_tables(content: dict[str, Any], tables: dict[str, Connection]) -> Iterator[str]:
    """Put the valid tables into `tables`; yield a line for each problem of the others."""
    for name, table in content.items():
        if not isinstance(table, dict):
            yield f"{name}: is neither a table nor a setting; the settings outside the tables are: {READY_MADE}"
        elif not name or "/" in name or len(name) > 200:
            yield f"{name!r}: the name of a connection has 1 to 200 characters and no slash"
        else:
            try:
                tables[name] = Connection.model_validate(table)
            except ValidationError as error:
                yield from (_line_of(name, problem["loc"], problem) for problem in error.errors())


def _line_of(name: str, place: tuple[int | str, ...], problem: Mapping[str, Any]) -> str:
    """Name the field and its problem, but never its value: it may be a key that was written there by mistake."""
    message = "is not a field of a connection" if problem["type"] == "extra_forbidden" else problem["msg"]
    return f"{'.'.join([name, *map(str, place)])}: {message.removeprefix('Value error, ')}"


def _is_valid_key(key: str) -> bool:
    return bool(key) and key.isascii() and key.isprintable() and " " not in key


def _wrong_key(name: str, variable: str, key: str) -> str:
    what = "contains characters that no key has" if key else "is not set"
    return f"{name}.api_key_env: the environment variable {variable} {what}"
