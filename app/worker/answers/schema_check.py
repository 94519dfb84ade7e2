"""Checks values against JSON Schemas in a child process with a clock and a limit of memory.

A schema comes from an operator, a value from a model: a pattern that backtracks or a reference that doubles itself can
take longer than a worker lives. In a thread nothing could end that; a process is killed.
"""

import json
from typing import Any

from jsonschema import SchemaError
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.worker.extraction.found import Found, TextLimit, Unreadable
from app.worker.extraction.limits import Limits
from app.worker.extraction.reader_pool import pool_for

LIMITS = Limits(seconds=10)
MAX_CHARACTERS = 600  # of a message
_NO_SCHEMAS: Registry[Any] = Registry()  # a schema may refer to itself; references to other schemas are not fetched


class BadSchema(ValueError):
    """The schema is not usable; the message says why."""


def mismatch(value: Any, schema: Any) -> str | None:
    """Explain where and why a value does not match; None when it does. Raises BadSchema."""
    content = json.dumps({"value": value, "schema": schema}).encode()
    try:
        found = pool_for(LIMITS).read(f"{__name__}:check", content, None)
    except Unreadable as error:
        message = f"The answer could not be checked against the prompt's schema: the pair of them {error.why}."
        raise BadSchema(message) from error
    if bad := found.metadata.get("bad_schema"):
        raise BadSchema(f"The prompt's schema is not a JSON Schema: {bad}")
    return found.text or None


def check(content: bytes, _: str | None, __: TextLimit) -> Found:
    """Check a value in the child process: the text is the mismatch, or empty."""
    given = json.loads(content)
    try:
        kind = validator_for(given["schema"], default=Draft202012Validator)
        kind.check_schema(given["schema"])
        error = best_match(kind(given["schema"], registry=_NO_SCHEMAS).iter_errors(given["value"]))
    except (SchemaError, Unresolvable) as bad:
        return Found("", {"bad_schema": str(bad)})
    if error is None:
        return Found("")
    return Found(f"The answer does not match the schema at {error.json_path}: {_cut(error.message)}")


def _cut(message: str) -> str:
    """Keep both ends of a long message: it begins with the value and ends with the problem."""
    if len(message) <= MAX_CHARACTERS:
        return message
    return f"{message[: MAX_CHARACTERS // 2]} ... {message[-MAX_CHARACTERS // 2 :]}"
