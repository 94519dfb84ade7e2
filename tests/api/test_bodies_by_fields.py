"""A body that is loaded by its fields alone gives what marshmallow gives, with the same errors: see Taken."""

from collections.abc import Iterator
from typing import Any

import marshmallow as ma
import pytest

from app.api.schemas import taken, webhook_calls, worker_calls
from app.api.schemas.fields import Taken

ODD: tuple[Any, ...] = (
    None, "", "x", "a\0b", "2026-11-26T05:56:01Z", 0, 1, -1, 1.5, 10**30, True, [], ["x"], [{}], {}, {"reason": "x"},
    {"actor": "x"},
)  # fmt: skip


def schemas() -> Iterator[type[Taken]]:
    for module in (taken, webhook_calls, worker_calls):
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, Taken) and each is not Taken:
                yield each


def outcome(load: Any, data: Any) -> Any:
    try:
        return load(data)
    except ma.ValidationError as error:
        return error.messages


def cases() -> Iterator[tuple[type[Taken], bool]]:
    """Give each schema; also for a body without what is missing, unless a hook needs the defaults."""
    for each in sorted(set(schemas()), key=lambda each: each.__name__):
        yield each, False
        if not any(each()._hooks.values()):
            yield each, True


@pytest.mark.parametrize(("schema_class", "partial"), [*cases()])
def test_both_ways_are_one(schema_class: type[Taken], partial: bool) -> None:
    schema = schema_class(partial=partial)
    bodies = [{}, {"unknown": 1}, [], "x", None]
    for name, field in schema.load_fields.items():
        key = name if field.data_key is None else field.data_key
        bodies += [{key: value} for value in ODD]
    required = found_valid(schema)
    bodies += [required, {**required, "unknown": 1}]
    for body in bodies:
        assert outcome(schema.load, body) == outcome(lambda data: ma.Schema.load(schema, data), body), body


def found_valid(schema: Taken) -> dict[str, Any]:
    """Find an odd value that each required field takes, where there is one."""
    found: dict[str, Any] = {}
    for name, field in schema.load_fields.items():
        key = name if field.data_key is None else field.data_key
        taken_values = (value for value in ODD if not isinstance(outcome(field.deserialize, value), list))
        if field.required and (value := next(taken_values, None)) is not None:
            found[key] = value
    return found
