"""The JSON Schema of a prompt's answers, as a field of a body."""

from collections.abc import Iterable, Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields

from app.domain.answer_schemas import objection_to_schema, objection_together


class AnswerSchema(fields.Dict):
    """An object that is a valid JSON Schema."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        schema: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if objection := objection_to_schema(schema):
            raise ma.ValidationError(objection)
        return schema


def check_together(schemas: Iterable[Mapping[str, Any] | None]) -> None:
    """Hold the schemas of a batch to the size that is soon checked. Raises ValidationError."""
    if objection := objection_together(schemas):
        raise ma.ValidationError(objection)
