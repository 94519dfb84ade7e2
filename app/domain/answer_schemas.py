"""The JSON Schema that a prompt may give for its answers: judged when the batch is made, not when money was spent."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from jsonschema import Draft202012Validator, SchemaError
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, UnknownDialect, specification_with

MOST_SCHEMA_BYTES = 64 * 1024
MOST_SCHEMAS_BYTES = 256 * 1024  # of a batch: the check of a schema takes 1 s for each 100 KiB
_LONGEST_MESSAGE = 300
_REFERENCES = ("$ref", "$dynamicRef")


def objection_to_schema(schema: dict[str, Any]) -> str | None:
    """Say why an object is no valid JSON Schema, whole in itself (2020-12, unless its `$schema` says otherwise)."""
    if size_of(schema) > MOST_SCHEMA_BYTES:
        return f"is larger than {MOST_SCHEMA_BYTES} bytes"
    try:
        return _objection(schema)
    except SchemaError as error:
        return f"is no JSON Schema: at {error.json_path}, {_cut(error.message)}"
    except (RecursionError, OverflowError, ValueError) as error:
        # Of what checks schemas: nested too deeply, a pattern that repeats too often, an address that is none.
        return f"is no JSON Schema that can be used: {_cut(str(error))}"


def objection_together(schemas: Iterable[Mapping[str, Any] | None]) -> str | None:
    """Hold the schemas of a batch to the size that is soon checked."""
    if sum(size_of(schema) for schema in schemas if schema) > MOST_SCHEMAS_BYTES:
        return f"their schemas together are larger than {MOST_SCHEMAS_BYTES} bytes"
    return None


def size_of(schema: Mapping[str, Any]) -> int:
    """Count the bytes of a schema as JSON without white space."""
    return len(orjson.dumps(schema))


def _objection(schema: dict[str, Any]) -> str | None:
    dialect = schema.get("$schema")
    if dialect is not None and not (isinstance(dialect, str) and _is_known(dialect)):
        return "$schema names no version of JSON Schema that is known here"
    validator_for(schema, default=Draft202012Validator).check_schema(schema)
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource("", resource).resolver_with_root(resource)
    dangling = next(_dangling(resource, resolver), None)
    return None if dangling is None else f"refers to {_cut(dangling)}, which is not in it; nothing is fetched"


def _is_known(dialect: str) -> bool:
    try:
        return bool(specification_with(dialect))
    except UnknownDialect:
        return False


def _dangling(resource: Any, resolver: Any) -> Iterator[str]:
    """Find what is referred to and is not there."""
    if isinstance(resource.contents, dict):
        for reference in filter(None, map(resource.contents.get, _REFERENCES)):
            try:
                resolver.lookup(reference)
            except Unresolvable:
                yield str(reference)
    for part in resource.subresources():
        yield from _dangling(part, resolver.in_subresource(part))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} ..."
