"""Kinds of fields in bodies and queries, and the base schema of all bodies and queries."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from app.domain.answer.answer_schemas import objection_to_schema, objection_together
from app.domain.connection.abilities import objection_to_ability
from app.domain.documents import usable_media_type


class Plain(fields.String):
    """Text that a database can store: U+0000 is refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if "\0" in text:
            raise ma.ValidationError("has a NUL character")
        return text


class MediaType(Plain):
    """A media type, which has to fit into a header."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not usable_media_type(text):
            raise ma.ValidationError("has to be one line")
        return text


class Ability(Plain):
    """What a worker can do, in one of the forms of `can`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if objection := objection_to_ability(text):
            raise ma.ValidationError(objection)
        return text


class Flag(fields.Boolean):
    """true or false; no text or number is converted."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Number(fields.Float):
    """A number; no text is converted."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> float:
        if isinstance(value, str | bool):
            raise self.make_error("invalid", input=value)
        return float(super()._deserialize(value, attr, data, **kwargs))


class Time(fields.AwareDateTime):
    """A time with its zone, which UTC has too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        at: datetime = super()._deserialize(value, attr, data, **kwargs)
        try:
            return at.astimezone(UTC)
        except OverflowError as error:
            raise ma.ValidationError("has no equivalent in UTC") from error


class Items(fields.List[Any]):
    """A list of `least` to `most` items, whose length is checked before its items are read."""

    def __init__(self, item: fields.Field[Any], most: int, least: int = 0, **kwargs: Any) -> None:
        self._length = validate.Length(least or None, most)
        super().__init__(item, validate=self._length, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            self._length(value)
        found: list[Any] = super()._deserialize(value, *args, **kwargs)
        return found


class JsonObject(fields.Dict):
    """Any JSON object."""


class AnswerSchema(fields.Dict):
    """An object that is a valid JSON Schema."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        schema: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if objection := objection_to_schema(schema):
            raise ma.ValidationError(objection)
        return schema


def short(longest: int, **kwargs: Any) -> Plain:
    """Make a field of text with 1 to `longest` characters."""
    return Plain(validate=validate.Length(1, longest), **kwargs)


def whole(least: int, most: int, **kwargs: Any) -> fields.Integer:
    """Make a field of whole numbers from `least` to `most`."""
    return fields.Integer(strict=True, validate=validate.Range(least, most), **kwargs)


def check_together(schemas: Iterable[Mapping[str, Any] | None]) -> None:
    """Check that a batch's schemas are together small enough. Raises ValidationError."""
    if objection := objection_together(schemas):
        raise ma.ValidationError(objection, "prompts")


class Taken(ma.Schema):
    """A body or query; unknown fields are refused."""

    class Meta:
        unknown = ma.RAISE
        ordered = True

    def load(self, data: Any, *, unknown: Any = None, **options: Any) -> Any:
        """Load a valid object by its fields alone, which costs a third. Marshmallow finds what is wrong with others.

        Not where unknown fields are allowed, or missing ones have no defaults, or a hook checks several fields.
        """
        is_partial = self.partial or any(options.values())
        is_plain = isinstance(data, dict) and not is_partial and not any(self._hooks.values())
        if is_plain and (unknown or self.unknown) == ma.RAISE:
            try:
                return self._loaded(data)
            except ma.ValidationError:
                pass
        return super().load(data, unknown=unknown, **options)

    def _loaded(self, data: dict[str, Any]) -> dict[str, Any]:
        loaded, known = {}, 0
        for name, field in self.load_fields.items():
            key = name if field.data_key is None else field.data_key
            known += key in data
            value = field.deserialize(data.get(key, ma.missing), key, data)
            if value is not ma.missing:
                loaded[field.attribute or name] = value
        if known < len(data):
            raise ma.ValidationError("has unknown fields")
        return loaded
