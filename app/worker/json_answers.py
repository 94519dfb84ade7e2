"""Reads the JSON of a model's answer and checks it against a JSON Schema. Pure functions."""

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
_NO_SCHEMAS: Registry[Any] = Registry()  # a schema may refer to itself; references to other schemas are not fetched
MAX_CHARACTERS = 600


class NotJson(ValueError):
    """The text is not JSON."""


def parse_json(text: str) -> Any:
    """Parse an answer as JSON, also inside a Markdown code fence. Raises NotJson."""
    fenced = _FENCED.fullmatch(text)
    try:
        return orjson.loads(fenced[1] if fenced else text)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"The answer is not JSON: {error}.") from error


def check_result(result: dict[str, Any], schema: Any) -> dict[str, Any]:
    """Return the result with its `json`, which matches the schema.

    Raises TaskFailed: `schema_mismatch`, with the usage, since another attempt may match; `bad_schema`, not retryable.
    """
    try:
        value = result["json"] if "json" in result else parse_json(str(result.get("text", "")))
        problem = mismatch(value, schema)
    except NotJson as error:
        problem = str(error)
    if problem:
        raise TaskFailed("schema_mismatch", problem, usage=result.get("usage"))
    return {**result, "json": value}


def mismatch(value: Any, schema: Any) -> str | None:
    """Explain where and why a value does not match; None when it does. Raises TaskFailed for an invalid schema."""
    try:
        kind = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
        error = best_match(kind(schema, registry=_NO_SCHEMAS).iter_errors(value))
    except (SchemaError, Unresolvable) as error:
        raise TaskFailed("bad_schema", f"The prompt's schema is not a JSON Schema: {error}", retryable=False) from error
    if error is None:
        return None
    message = error.message
    if len(message) > MAX_CHARACTERS:  # keep both ends: it begins with the value and ends with the problem
        message = f"{message[: MAX_CHARACTERS // 2]} ... {message[-MAX_CHARACTERS // 2 :]}"
    return f"The answer does not match the schema at {error.json_path}: {message}"
