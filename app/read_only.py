"""PostgreSQL that has become read-only, as an old primary is after a failover: all connections to it are closed.

New connections are made only to a server that takes writes (`target_session_attrs`), so the service is unavailable
until there is one, and then goes on by itself.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from app.errors import Unavailable

DETAIL = "The database is read-only."
_FAILURE = "25006"  # read_only_sql_transaction
_ON_CONNECT = "session is read-only"  # libpq has no code for it
_IS_READ_ONLY = text("SELECT current_setting('transaction_read_only') = 'on'")
_POOL = "pool"


def is_read_only(error: DBAPIError) -> bool:
    """Whether a statement or a new connection failed because the server is read-only."""
    return getattr(error.orig, "pgcode", None) == _FAILURE or _ON_CONNECT in str(error.orig)


def require_writable(connection: Connection) -> None:
    """Close all connections if this one's server is read-only. Raises Unavailable then.

    A write notices it by itself; a read would not.
    """
    if connection.dialect.name == "postgresql" and connection.execute(_IS_READ_ONLY).scalar_one():
        connection.invalidate()
        connection.engine.dispose()
        raise Unavailable(DETAIL)


def listen(engine: Engine) -> None:
    """Make a PostgreSQL engine close all its connections when a write is refused because the server is read-only."""

    def connected(_: Any, record: Any) -> None:
        record.info[_POOL] = engine.pool

    def checked_in(_: Any, record: Any) -> None:
        if record.info.get(_POOL) is not engine.pool:  # it was in use when the others were closed
            record.invalidate()

    event.listen(engine, "connect", connected)
    event.listen(engine, "checkin", checked_in)
    event.listen(engine, "handle_error", _on_error)


def _on_error(context: ExceptionContext) -> None:
    if getattr(context.original_exception, "pgcode", None) == _FAILURE and context.engine is not None:
        context.is_disconnect = True  # closes this connection
        context.engine.dispose()
