"""Rows with values of any size, read and written in portions: limited by bytes, and at least one row each.

Before a portion is read, the sizes are: the database sends no value for which there is no room. A row has an `id`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Connection, Engine, Select, bindparam

from app.db import reading
from app.sql_functions import text_bytes

MOST_BYTES = 4 * 1024 * 1024  # of a portion, unless one row has more
T = TypeVar("T")

_ids = bindparam("ids_of_portion", expanding=True, type_=BigInteger)


def size_of(*values: Any) -> ColumnElement[int]:
    """Select how many bytes these values have together, as `size`."""
    total: ColumnElement[int] = sum((text_bytes(each) for each in values[1:]), start=text_bytes(values[0]))
    return total.label("size")


def divide(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Divide items of some sizes in bytes into portions, in their order."""
    portion: list[T] = []
    total = 0
    for item in items:
        taken = size(item)
        if portion and total + taken > MOST_BYTES:
            yield portion
            portion, total = [], 0
        portion.append(item)
        total += taken
    if portion:
        yield portion


def _ids_of(sized: Iterable[Any]) -> Iterator[list[int]]:
    for portion in divide(sized, lambda row: int(row.size)):
        yield [row.id for row in portion]


def read(engine: Engine, sized: Iterable[Any], rows: Select[Any]) -> Iterator[Any]:
    """Read the rows that `sized` names by `id` and `size`, in its order; `rows` selects their `id` and their values.

    A row that is gone by now is left out. No connection is held while a portion is being used.
    """
    for ids in _ids_of(sized):
        with reading(engine) as connection:
            found = _portion(connection, rows, ids)
        yield from (found.pop(each) for each in ids if each in found)


def read_on(connection: Connection, sized: Iterable[Any], rows: Select[Any]) -> Iterator[Any]:
    """As `read`, on one connection."""
    for ids in _ids_of(sized):
        found = _portion(connection, rows, ids)
        yield from (found.pop(each) for each in ids if each in found)


def first(connection: Connection, sized: Iterable[Any], rows: Select[Any]) -> list[Any]:
    """Read the first portion."""
    ids = next(_ids_of(sized), [])
    found = _portion(connection, rows, ids) if ids else {}
    return [found[each] for each in ids if each in found]


def _portion(connection: Connection, rows: Select[Any], ids: list[int]) -> dict[int, Any]:
    statement = rows.where(rows.selected_columns.id.in_(_ids))
    return {row.id: row for row in connection.execute(statement, {"ids_of_portion": ids})}
