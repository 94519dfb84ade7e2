"""The JSON Schema that a prompt may give for its answers: judged when the batch is made, not when money was spent."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import marshmallow as ma
import orjson
from jsonschema import Draft202012Validator, SchemaError
from jsonschema.validators import validator_for
from marshmallow import fields
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, UnknownDialect, specification_with

MOST_SCHEMA_BYTES = 64 * 1024
MOST_SCHEMAS_BYTES = 256 * 1024  # of a batch: the check of a schema takes 1 s for each 100 KiB
_LONGEST_MESSAGE = 300
_REFERENCES = ("$ref", "$dynamicRef")


class AnswerSchema(fields.Dict):
    """An object that is a valid JSON Schema (2020-12, unless its `$schema` says otherwise), whole in itself."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        schema: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if size_of(schema) > MOST_SCHEMA_BYTES:
            raise ma.ValidationError(f"is larger than {MOST_SCHEMA_BYTES} bytes")
        try:
            _judge(schema)
        except SchemaError as error:
            raise ma.ValidationError(f"is no JSON Schema: at {error.json_path}, {_cut(error.message)}") from error
        except (RecursionError, OverflowError, ValueError) as error:
            # Of what checks schemas: nested too deeply, a pattern that repeats too often, an address that is none.
            raise ma.ValidationError(f"is no JSON Schema that can be used: {_cut(str(error))}") from error
        return schema


def size_of(schema: Mapping[str, Any]) -> int:
    """Count the bytes of a schema as JSON without white space."""
    return len(orjson.dumps(schema))


def check_together(schemas: Iterable[Mapping[str, Any] | None]) -> None:
    """Hold the schemas of a batch to the size that is soon checked. Raises ValidationError."""
    if sum(size_of(schema) for schema in schemas if schema) > MOST_SCHEMAS_BYTES:
        raise ma.ValidationError(f"their schemas together are larger than {MOST_SCHEMAS_BYTES} bytes")


def _judge(schema: dict[str, Any]) -> None:
    dialect = schema.get("$schema")
    if dialect is not None and not (isinstance(dialect, str) and _is_known(dialect)):
        raise ma.ValidationError("$schema names no version of JSON Schema that is known here")
    validator_for(schema, default=Draft202012Validator).check_schema(schema)
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource("", resource).resolver_with_root(resource)
    for reference in _dangling(resource, resolver):
        raise ma.ValidationError(f"refers to {_cut(reference)}, which is not in it; nothing is fetched")


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
