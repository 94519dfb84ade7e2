"""Checks a JSON Schema with jsonschema: that it is valid, contains what it refers to, and is not too large to use."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, UnknownDialect, specification_with

MOST_PARTS = 20_000  # of a schema whose references are replaced by what they refer to; checking them takes 0.5 s
_LONGEST_MESSAGE = 300
_REFERENCES = ("$ref", "$dynamicRef")


def objection(schema: dict[str, Any]) -> str | None:
    """Say why an object is not a valid, self-contained JSON Schema; None if it is one."""
    try:
        return _objection(schema)
    except SchemaError as error:
        return f"is not a JSON Schema: at {error.json_path}, {_cut(error.message)}"
    except (RecursionError, OverflowError, ValueError) as error:
        # The checker raises these: nested too deeply, a pattern with too many repetitions, an invalid address.
        return f"is not a usable JSON Schema: {_cut(str(error))}"


def _objection(schema: dict[str, Any]) -> str | None:
    dialect = schema.get("$schema")
    if dialect is not None and not (isinstance(dialect, str) and _is_known(dialect)):
        return "$schema is not a known version of JSON Schema"
    validator_for(schema, default=Draft202012Validator).check_schema(schema)
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource("", resource).resolver_with_root(resource)
    if dangling := next(_dangling(resource, resolver), None):
        return f"refers to {_cut(dangling)}, which it does not contain; nothing is fetched"
    specification = specification_with(dialect) if dialect else DRAFT202012
    if _Parts(specification).count(resource, resolver) > MOST_PARTS:
        return f"has more than {MOST_PARTS:,} parts when its references are replaced by what they refer to"
    return None


def _is_known(dialect: str) -> bool:
    try:
        return bool(specification_with(dialect))
    except UnknownDialect:
        return False


def _dangling(resource: Any, resolver: Any) -> Iterator[str]:
    """Find the references whose target does not exist."""
    if isinstance(resource.contents, dict):
        for reference in filter(None, map(resource.contents.get, _REFERENCES)):
            try:
                resolver.lookup(reference)
            except Unresolvable:
                yield str(reference)
    for part in resource.subresources():
        yield from _dangling(part, resolver.in_subresource(part))


class _Parts:
    """Counts the parts of a schema with all its references replaced: a few that double each other grow to billions.

    A reference to a part that holds it counts as one: how often it is followed depends on the value.
    """

    def __init__(self, specification: Any) -> None:
        self._specification = specification
        self._counts: dict[int, int] = {}  # by the identity of a part; while it is being counted, 1

    def count(self, part: Any, resolver: Any) -> int:
        key = id(part.contents)
        if isinstance(part.contents, bool) or key in self._counts:
            return self._counts.get(key, 1)
        self._counts[key] = 1
        self._counts[key] = 1 + sum(self.count(*each) for each in self._within(part, resolver))
        return self._counts[key]

    def _within(self, part: Any, resolver: Any) -> Iterator[tuple[Any, Any]]:
        if isinstance(part.contents, dict):
            for reference in filter(None, map(part.contents.get, _REFERENCES)):
                found = resolver.lookup(reference)
                yield self._specification.create_resource(found.contents), found.resolver
        for each in part.subresources():
            yield each, resolver.in_subresource(each)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} ..."
