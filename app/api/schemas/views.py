"""The OpenAPI schemas of views, derived from their types: services type a view once, as a TypedDict."""

from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import marshmallow as ma
from marshmallow import fields

_PLAIN: dict[Any, type[fields.Field[Any]]] = {
    int: fields.Integer,
    float: fields.Float,
    str: fields.String,
    bool: fields.Boolean,
    Any: fields.Raw,
}


class Shown(ma.Schema):
    """An answer: it may have more fields than are documented."""

    class Meta:
        unknown = ma.INCLUDE


@cache
def schema_of(view: type) -> type[ma.Schema]:
    """Make the schema of a TypedDict: a field for each key, required unless the key is NotRequired."""
    hints = get_type_hints(view, include_extras=True)
    return Shown.from_dict(
        {name: _field(hint, required=True) for name, hint in hints.items()}, name=view.__name__.removesuffix("View")
    )


def _field(hint: Any, **options: Any) -> fields.Field[Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return _field(inner[0], **{**options, "required": False})
    if origin is Annotated:
        return _field(inner[0], metadata=dict(inner[1:]), **options)
    if origin in (Union, UnionType):
        (some,) = (each for each in inner if each is not NoneType)
        return _field(some, allow_none=True, **options)
    if origin is list:
        return fields.List(_field(inner[0]), **options)
    if origin is dict:
        return fields.Dict(keys=_field(inner[0]), values=_field(inner[1]), **options)
    if is_typeddict(hint):
        return fields.Nested(schema_of(hint), **options)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return fields.Enum(hint, by_value=True, **options)
    return _PLAIN[hint](**options)
