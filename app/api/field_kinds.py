"""The kinds of fields that bodies and queries are made of, and the schema that they all are."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate


class Plain(fields.String):
    """Text that a database can hold: U+0000 is refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if "\0" in text:
            raise ma.ValidationError("has a NUL character")
        return text


class Flag(fields.Boolean):
    """true or false, and no word or number that looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Number(fields.Float):
    """A number, and no text that looks like one."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> float:
        if isinstance(value, str | bool):
            raise self.make_error("invalid", input=value)
        return float(super()._deserialize(value, attr, data, **kwargs))


class JsonObject(fields.Dict):
    """Any JSON object."""


def short(longest: int, **kwargs: Any) -> Plain:
    return Plain(validate=validate.Length(1, longest), **kwargs)


def whole(least: int, most: int, **kwargs: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(least, most), **kwargs)


class Taken(ma.Schema):
    """A body or query: unknown fields are refused."""

    class Meta:
        unknown = ma.RAISE
        ordered = True
