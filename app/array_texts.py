"""Arrays of PostgreSQL as text: one value for the driver, which takes up to a microsecond for each value of a list."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any


def array_text(values: Iterable[Any]) -> str:
    """Write texts, numbers, booleans, times or None as an array; a statement casts it: `CAST(:name AS bigint[])`.

    All of them are of one type, but for None.
    """
    given = list(values)
    if given and given.count(given[0]) == len(given):  # as most columns of a report are
        return f"{{{','.join([_element(given[0])] * len(given))}}}"
    kinds = set(map(type, given))
    write = _WRITERS.get(kinds.pop(), _element) if len(kinds) == 1 else _element
    return f"{{{','.join(map(write, given))}}}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    return str(value)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_WRITERS: dict[type, Callable[[Any], str]] = {int: str, str: _quoted}  # of the types that most arrays have alone
