"""`connections.toml`: a table a connection, read and checked whole before the first task.

Keys stand in the environment, under the name that `api_key_env` gives; the file has none.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

READY_MADE = "jsonl"  # a setting beside the tables: which of them answers ready-made lines
ANY_MODEL = "*"
Price = Annotated[float, Field(ge=0, le=1e9)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
PerMinute = Annotated[int, Field(ge=1, le=10**9)]


class WrongConnections(Exception):
    """What is wrong with the file, a line for each wrong value."""


class Table(BaseModel):
    """Fields of exactly these names and types: no other, and no text that looks like a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Model(Table):
    """The prices of a model, per million tokens. A model of `embeddings` makes vectors of texts."""

    input: Price
    output: Price = 0.0
    embeddings: bool = False

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.input + output_tokens * self.output) / 1_000_000


class Connection(Table):
    """One model server: where it is, what it offers, and how fast it may be asked. None: without that limit."""

    base_url: str
    api_key_env: Annotated[str, Field(min_length=1)] | None = None
    models: dict[str, Model] = Field(default_factory=dict)
    structured: bool = False  # whether it knows response_format json_schema
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
            raise ValueError("is no address such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("holds more than an address: a key belongs in the variable that api_key_env names")
        return value.rstrip("/")

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.connect_seconds > self.total_seconds or self.read_seconds > self.total_seconds:
            raise ValueError("total_seconds is shorter than connect_seconds or read_seconds")
        return self

    def model(self, name: str) -> Model | None:
        """Find a model's prices: its own, or those of all others."""
        return self.models.get(name) or self.models.get(ANY_MODEL)


@dataclass(frozen=True)
class Connections:
    """What a file says, and the keys that it names."""

    tables: dict[str, Connection]
    ready_made: str | None = None
    keys: dict[str, str] = field(default_factory=dict, repr=False)


def read(path: Path, environment: Mapping[str, str]) -> Connections:
    """Read a file and the keys it names. Raises WrongConnections with a line for each wrong value."""
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WrongConnections(f"{path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise WrongConnections(f"{path} is not TOML: {error}.") from error
    ready_made = said.pop(READY_MADE, None)
    tables: dict[str, Connection] = {}
    wrong = list(_take(said, tables))
    if ready_made is not None and ready_made not in said:
        wrong.append(f"{READY_MADE}: {ready_made!r} is not the name of a table of this file")
    keys = {name: environment.get(table.api_key_env, "") for name, table in tables.items() if table.api_key_env}
    wrong += [_wrong_key(name, str(tables[name].api_key_env), key) for name, key in keys.items() if not _usable(key)]
    if wrong:
        raise WrongConnections("\n".join([f"{path} has wrong values:", *wrong]))
    return Connections(tables, ready_made, keys)


def _take(said: dict[str, Any], tables: dict[str, Connection]) -> Iterator[str]:
    """Put the tables that are right into `tables`; tell of the others."""
    for name, table in said.items():
        if not isinstance(table, dict):
            yield f"{name}: is neither a table nor a setting; the settings beside the tables are: {READY_MADE}"
        elif not name or "/" in name or len(name) > 200:
            yield f"{name!r}: a connection's name has 1 to 200 characters and no slash"
        else:
            try:
                tables[name] = Connection.model_validate(table)
            except ValidationError as error:
                yield from (_sentence(name, problem["loc"], problem) for problem in error.errors())


def _sentence(name: str, place: tuple[int | str, ...], problem: Mapping[str, Any]) -> str:
    """Name the field and what is wrong, never the value: somebody may have written a key there."""
    message = "is no field of a connection" if problem["type"] == "extra_forbidden" else problem["msg"]
    return f"{'.'.join([name, *map(str, place)])}: {message.removeprefix('Value error, ')}"


def _usable(key: str) -> bool:
    return bool(key) and key.isascii() and key.isprintable() and " " not in key


def _wrong_key(name: str, variable: str, key: str) -> str:
    what = "holds characters that no key has" if key else "is not set"
    return f"{name}.api_key_env: the environment variable {variable} {what}"
