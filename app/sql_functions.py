"""Functions of SQL that PostgreSQL and SQLite write in different ways."""

from typing import Any

from sqlalchemy import Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class stored_bytes(FunctionElement[int]):
    """The size of a stored value in bytes. PostgreSQL knows it without reading a long value from its TOAST table."""

    inherit_cache = True
    type = Integer()


@compiles(stored_bytes, "postgresql")
def _(element: Any, compiler: Any, **more: Any) -> str:
    return f"pg_column_size({compiler.process(element.clauses, **more)})"


@compiles(stored_bytes, "sqlite")
def _(element: Any, compiler: Any, **more: Any) -> str:
    return f"length({compiler.process(element.clauses, **more)})"


class text_bytes(FunctionElement[int]):
    """The bytes of a text or of JSON as it is sent; 0 for NULL. The database reads the whole value."""

    inherit_cache = True
    type = Integer()


@compiles(text_bytes, "postgresql")
def _(element: Any, compiler: Any, **more: Any) -> str:
    return f"coalesce(octet_length(CAST({compiler.process(element.clauses, **more)} AS text)), 0)"


@compiles(text_bytes, "sqlite")
def _(element: Any, compiler: Any, **more: Any) -> str:
    return f"coalesce(length(CAST({compiler.process(element.clauses, **more)} AS blob)), 0)"


class folded(FunctionElement[str]):
    """A text in small letters, in the order of its characters: an index over it finds the beginning of a text.

    SQLite knows the small letters of A to Z alone.
    """

    inherit_cache = True
    type = Text()


@compiles(folded, "postgresql")
def _(element: Any, compiler: Any, **more: Any) -> str:
    return f'(lower({compiler.process(element.clauses, **more)}) COLLATE "C")'


@compiles(folded, "sqlite")
def _(element: Any, compiler: Any, **more: Any) -> str:
    return f"lower({compiler.process(element.clauses, **more)})"
