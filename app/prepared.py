"""Prepared statements of PostgreSQL: the hot ones are parsed and planned once for each connection, not at each call.

psycopg2 prepares nothing by itself. A statement with the execution option `prepared="a_name"` is sent as PREPARE when
its connection first meets it, and as EXECUTE from then on. Several statements in one, divided by `; `, stay one round
trip. For statements that find their rows by primary key: the plan is made for any parameters, not for these.
"""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event

OPTION = "prepared"
_PARAMETER = re.compile(r"%\((\w+)\)s")


@lru_cache
def _sent_as(name: str, sql: str) -> tuple[dict[str, str], str]:
    """Write what prepares `sql`, each statement under its name, and what executes it with the same parameters."""
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
    if name is None:
        return sql, parameters
    prepares, execute = _sent_as(name, sql)
    known = connection.info.setdefault(OPTION, set())  # kept as long as the connection to the server
    for each in prepares.keys() - known:  # one by one: where the second fails, the first is there and stays
        cursor.execute(prepares[each])
        known.add(each)
    return execute, parameters


def listen(engine: Engine) -> None:
    """Let an engine of PostgreSQL prepare the statements that ask for it."""
    event.listen(engine, "before_cursor_execute", _prepare, retval=True)
