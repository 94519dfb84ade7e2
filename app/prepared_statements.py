"""Prepared statements: compiled once for the life of the process, planned once for each connection to PostgreSQL.

psycopg2 itself prepares nothing. A `Prepared` is sent as PREPARE at its first use on a connection, and as EXECUTE
afterwards. It goes past SQLAlchemy's compiler and results, which cost more than the statement; listeners, errors and
types are as they are there. Several statements are one round trip, which gives the rows of the last one.

A plan is made for any parameters, not for the given ones: use it for statements that find rows by primary key. One that
reads `tasks` has to be `by_index`. A plan made while that table was small would read all of it when a million tasks
have been added, until autovacuum has analysed it.
Behind a pooler nothing is prepared: the next transaction may get another session.
"""

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Dialect

_PARAMETER = re.compile(r"%\((\w+)\)s")
# A planner whose statistics do not know a new batch yet expects one row of it. It would read the whole run and sort it.
_BY_INDEX = b"SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
_TIMESTAMPTZ = 1184  # the driver reads it in UTC, as the time zone of each session is
Convert = Callable[[Any], Any]


class Prepared:
    """One or several statements of SQLAlchemy's Core, with their parameters by name.

    With `later`, a write goes along with the next statement: see app/round_trips.py. With `by_index`, rows are found
    and ordered by indexes alone, for the rest of the transaction. On SQLite SQLAlchemy executes it, if it is one.
    """

    def __init__(self, name: str, *statements: Any, later: bool = False, by_index: bool = False) -> None:
        self._name = name
        self._statements = statements
        self._is_later, self._is_by_index = later, by_index
        self._form: _Form | None = None

    @property
    def statement(self) -> str:
        """What it was made of, for listeners."""
        return self._form.sql if self._form else ""

    def rows(self, connection: Connection, **values: Any) -> Sequence[Any]:
        """Execute it with these parameters; return the rows, with the columns as attributes."""
        if connection.dialect.name != "postgresql":
            (statement,) = self._statements
            result = connection.execute(statement, values)
            return result.all() if result.returns_rows else ()
        form = self._form = self._form or _Form(self._name, self._statements, connection.dialect)
        driver: Any = connection.connection.dbapi_connection
        sql, parameters, cursor = form.sql, form.parameters(values), None
        try:
            cursor = driver.cursor()  # refused by a connection that is lost
            if not driver.is_pooled:
                sql = form.executes
                if self._name not in driver.prepared:
                    _prepare(driver, cursor, form.prepares)
                    driver.prepared.add(self._name)
            for listener in connection.engine.dispatch.before_cursor_execute:
                sql, parameters = listener(connection, cursor, sql, parameters, self, False)
            if self._is_by_index:
                driver.send_later(_BY_INDEX)
            if self._is_later:
                cursor.execute_later(sql, parameters)
                return ()
            cursor.execute(sql, parameters)
            return form.rows(cursor) if cursor.description else ()
        except BaseException as error:  # it closes lost connections and raises what SQLAlchemy raises everywhere
            connection._handle_dbapi_exception(error, sql, parameters, cursor, None)
        finally:
            if cursor is not None:
                cursor.close()

    def row(self, connection: Connection, **values: Any) -> Any:
        """Execute it; return the only row, or None if there is none."""
        rows = self.rows(connection, **values)
        return rows[0] if rows else None


class _Form:
    """What is sent for a Prepared to PostgreSQL, and how its values are converted."""

    def __init__(self, name: str, statements: Sequence[Any], dialect: Dialect) -> None:
        compiled = [each.compile(dialect=dialect) for each in statements]
        self.sql = "; ".join(map(str, compiled))  # as it is sent behind a pooler
        self.prepares, self.executes = _prepare_and_execute(name, list(map(str, compiled)))
        self._given = {key: value for each in compiled for key, value in each.params.items() if value is not None}
        self._into = {
            key: convert
            for each in compiled
            for key, bound in each.binds.items()
            if (convert := bound.type.dialect_impl(dialect).bind_processor(dialect))
        }
        self._dialect = dialect
        self._columns = list(getattr(statements[-1], "selected_columns", ()))
        self._from: list[tuple[int, Convert]] = []
        self._make: Any = None

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Convert the parameters as their types demand."""
        made = {**self._given, **values}
        for key, convert in self._into.items():
            made[key] = convert(made[key])
        return made

    def rows(self, cursor: Any) -> list[Any]:
        """Read all rows, as tuples with names."""
        if self._make is None:
            self._describe(cursor.description)
        found = cursor.fetchall()
        return list(map(self._make, map(self._converted, found) if self._from else found))

    def _describe(self, description: Sequence[Any]) -> None:
        for place, (column, described) in enumerate(zip(self._columns, description, strict=False)):
            convert = column.type.dialect_impl(self._dialect).result_processor(self._dialect, described.type_code)
            if convert and described.type_code != _TIMESTAMPTZ:
                self._from.append((place, convert))
        row = namedtuple("Row", [each.name for each in description], rename=True)  # type: ignore[misc]
        self._make = partial(tuple.__new__, row)

    def _converted(self, row: Sequence[Any]) -> list[Any]:
        converted = list(row)
        for place, convert in self._from:
            if row[place] is not None:
                converted[place] = convert(row[place])
        return converted


def _prepare_and_execute(name: str, statements: Iterable[str]) -> tuple[dict[str, str], str]:
    """Return the PREPARE of each statement by its name, and the EXECUTE of all with the same parameters."""
    prepares, executes = {}, []
    for number, statement in enumerate(statements):
        names = list(dict.fromkeys(_PARAMETER.findall(statement)))
        numbered = _PARAMETER.sub(lambda found, of=names: f"${of.index(found[1]) + 1}", statement)  # type: ignore[misc]
        given = f" ({', '.join(f'%({each})s' for each in names)})" if names else ""
        prepares[f"{name}_{number}"] = f"PREPARE {name}_{number} AS {numbered.replace('%%', '%')}"
        executes.append(f"EXECUTE {name}_{number}{given}")
    return prepares, "; ".join(executes)


def _prepare(driver: Any, cursor: Any, prepares: Mapping[str, str]) -> None:
    for name in prepares.keys() - driver.prepared:  # one at a time: if the second fails, the first stays prepared
        cursor.execute(prepares[name])
        driver.prepared.add(name)
