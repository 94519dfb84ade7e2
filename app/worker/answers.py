"""What an answer says in JSON, and whether it is of the form that was asked for. Pure functions; every handler's."""

import re
from typing import Any

import orjson
from jsonschema import SchemaError
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.worker.task import TaskFailed

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.S | re.I)
_NOTHING: Registry[Any] = Registry()  # a schema may refer to itself, but fetches nothing from a network
MOST_CHARACTERS = 600


class NotJson(ValueError):
    """A text that is no JSON."""


def parsed(text: str) -> Any:
    """Read an answer as JSON, also where the model put it into a Markdown fence. Raises NotJson."""
    fenced = _FENCED.fullmatch(text)
    try:
        return orjson.loads(fenced[1] if fenced else text)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"The answer is not JSON: {error}.") from error


def fitting(result: dict[str, Any], schema: Any) -> dict[str, Any]:
    """Give the result with its `json`, which fits the schema.

    Raises TaskFailed: `schema_mismatch` with the result's usage, for another attempt may fit; `bad_schema` for good.
    """
    try:
        value = result["json"] if "json" in result else parsed(str(result.get("text", "")))
        problem = mismatch(value, schema)
    except NotJson as error:
        problem = str(error)
    if problem:
        raise TaskFailed("schema_mismatch", problem, usage=result.get("usage"))
    return {**result, "json": value}


def mismatch(value: Any, schema: Any) -> str | None:
    """Say where and why a value does not fit; None when it does. Raises TaskFailed for a schema that is none."""
    try:
        kind = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
        error = best_match(kind(schema, registry=_NOTHING).iter_errors(value))
    except (SchemaError, Unresolvable) as error:
        raise TaskFailed("bad_schema", f"The prompt's schema is no JSON Schema: {error}", retryable=False) from error
    if error is None:
        return None
    message = error.message
    if len(message) > MOST_CHARACTERS:  # it begins with the value, and ends with what is wrong about it
        message = f"{message[: MOST_CHARACTERS // 2]} ... {message[-MOST_CHARACTERS // 2 :]}"
    return f"The answer does not fit the schema at {error.json_path}: {message}"
