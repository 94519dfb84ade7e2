"""Connections to PostgreSQL through a pooler, such as PgBouncer: nothing may depend on the session of the server.

A pooler may run each transaction in another session, which it takes back afterwards. So behind any pooler:

1. the settings come with the first statement of each transaction (SET LOCAL), in the same round trip: see
   app/round_trips.py;
2. nothing is prepared (app/prepared_statements.py);
3. locks belong to transactions, as they do everywhere in the service.

Without a pooler, the settings are set once for the session. A pooler is recognised by the process id that comes with a
new connection: it is not that of the session.
"""

from collections.abc import Mapping
from typing import Any

from psycopg2 import OperationalError
from sqlalchemy import Connection, Engine, event

from app.errors import Unavailable

NO_TRANSACTIONS = (
    "The database's pooler closes the connection when a transaction begins: "
    "its pool_mode has to be session or transaction."
)
_SET = "SELECT set_config(name, value, false) FROM unnest(%s, %s) AS settings (name, value) WHERE pg_backend_pid() = %s"


def is_pooled(connection: Connection) -> bool:
    """Whether a pooler stands between this connection and PostgreSQL."""
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.is_pooled)


def listen(engine: Engine, settings: Mapping[str, str]) -> None:
    """Put these settings in force on a PostgreSQL engine: for its sessions, or behind a pooler for each transaction.

    A connection that cannot begin a transaction raises Unavailable.
    """
    set_local = [f"SET LOCAL {name} = '{value}'".encode() for name, value in settings.items()]

    def connected(dbapi_connection: Any, _: Any) -> None:
        dbapi_connection.autocommit = True
        with dbapi_connection.cursor() as cursor:
            cursor.execute(_SET, (list(settings), list(settings.values()), dbapi_connection.get_backend_pid()))
            dbapi_connection.is_pooled = cursor.rowcount == 0
        dbapi_connection.autocommit = False
        if dbapi_connection.is_pooled:
            _try_a_transaction(dbapi_connection)
            dbapi_connection.settings = set_local

    event.listen(engine, "connect", connected, insert=True)  # before SQLAlchemy begins a transaction


def _try_a_transaction(dbapi_connection: Any) -> None:
    """Begin a transaction. A pooler by statement closes the connection, and psycopg2 does not pass on its reason."""
    try:
        with dbapi_connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        dbapi_connection.rollback()
    except OperationalError as error:
        raise Unavailable(NO_TRANSACTIONS) from error
