"""Prepared statements of PostgreSQL: frequent statements are parsed and planned once for each connection.

psycopg2 itself prepares nothing. A statement with the execution option `prepared="a_name"` is sent as PREPARE at its
first use on a connection, and as EXECUTE afterwards. Several statements in one, separated by `; `, are still one round
trip. Use it for statements that find rows by primary key: the plan is made for any parameters, not for the given ones.
Don't use it for statements that read `tasks`: a plan made while the table was small would read all of it when a million
tasks have been added, until autovacuum has analysed the table.
Behind a pooler nothing is prepared: the next transaction may get another session.
"""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event

from app.poolers import is_pooled

OPTION = "prepared"
_PARAMETER = re.compile(r"%\((\w+)\)s")


@lru_cache
def _prepare_and_execute(name: str, sql: str) -> tuple[dict[str, str], str]:
    """Return the PREPARE of each statement in `sql` by its name, and the EXECUTE of all with the same parameters."""
    prepares, executes = {}, []
    for number, statement in enumerate(sql.split("; ")):
        names = list(dict.fromkeys(_PARAMETER.findall(statement)))
        numbered = _PARAMETER.sub(lambda found, of=names: f"${of.index(found[1]) + 1}", statement)  # type: ignore[misc]
        given = f" ({', '.join(f'%({each})s' for each in names)})" if names else ""
        prepares[f"{name}_{number}"] = f"PREPARE {name}_{number} AS {numbered.replace('%%', '%')}"
        executes.append(f"EXECUTE {name}_{number}{given}")
    return prepares, "; ".join(executes)


def _prepare(connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, _: bool) -> tuple[str, Any]:
    name = context.execution_options.get(OPTION) if context else None
    if name is None or is_pooled(connection):
        return sql, parameters
    prepares, execute = _prepare_and_execute(name, sql)
    known = connection.info.setdefault(OPTION, set())  # it lives as long as the connection to the server
    for each in prepares.keys() - known:  # one at a time: if the second fails, the first stays prepared
        cursor.execute(prepares[each])
        known.add(each)
    return execute, parameters


def listen(engine: Engine) -> None:
    """Make a PostgreSQL engine prepare the statements that have the option `prepared`."""
    event.listen(engine, "before_cursor_execute", _prepare, retval=True)
