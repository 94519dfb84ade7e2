"""The JSON Schema of a prompt's answers: checked when the batch is created, before it costs money."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

MOST_SCHEMA_BYTES = 64 * 1024
MOST_SCHEMAS_BYTES = 256 * 1024  # of a batch; checking 100 KiB takes 1 s


def objection_to_schema(schema: dict[str, Any]) -> str | None:
    """Say why an object is not a valid, self-contained JSON Schema (2020-12, unless it has a `$schema`); else None."""
    if size_of(schema) > MOST_SCHEMA_BYTES:
        return f"is larger than {MOST_SCHEMA_BYTES} bytes"
    # What it needs takes 3 MB, which a process has only if it checks a schema.
    from app.domain.answer.json_schema import objection

    return objection(schema)


def objection_together(schemas: Iterable[Mapping[str, Any] | None]) -> str | None:
    """Say why the schemas of a batch are together too large to be checked quickly; else None."""
    if sum(size_of(schema) for schema in schemas if schema) > MOST_SCHEMAS_BYTES:
        return f"their schemas together are larger than {MOST_SCHEMAS_BYTES} bytes"
    return None


def size_of(schema: Mapping[str, Any]) -> int:
    """Count the bytes of a schema as JSON without white space."""
    return len(orjson.dumps(schema))
