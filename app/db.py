"""The database: its engine, its transactions and its clock.

PostgreSQL is for production; SQLite is the embedded default. What differs between them, except for details of SQL, is
here. Nothing here knows what a batch is.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
from sqlalchemy import (
    BigInteger,
    Connection,
    CursorResult,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from app import poolers, read_only, round_trips
from app.errors import Busy, Locked, Refusal, Unavailable
from config import Config

STATEMENT_TIMEOUT_MS = 30_000
SQLITE_WAIT_SECONDS = 5
LOCK_FAILURES = ("55P03", "40P01", "40001")  # lock not available, deadlock, serialization failure
DISK_FULL = "53100"
T = TypeVar("T")
U = TypeVar("U")

# PostgreSQL does not allow two CHECKs with the same name in a schema: constraints are named after their tables.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time on both databases. SQLite itself stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def table_of(model: type[Base]) -> Table:
    """Return the table of a model, for statements without the ORM."""
    return cast(Table, model.__table__)


BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite generates ids only for INTEGER


def make_engine(config: Config) -> Engine:
    """Make the engine for `config.database_url`. `postgresql://` uses psycopg2. Raises ArgumentError for any other."""
    url = make_url(config.database_url)
    options: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
    }
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives its other files (-wal, -shm) the mode of this one: no other user of the machine reads them.
            Path(url.database).touch(mode=0o600)
        engine = create_engine(url, **options, connect_args={"timeout": SQLITE_WAIT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ArgumentError(f"{url.drivername}:// is not supported; sqlite:// and postgresql:// are.")
    engine = create_engine(
        url.set(drivername="postgresql+psycopg2"),
        **options,
        isolation_level="READ COMMITTED",  # set explicitly: an UPDATE that loses a race must see 0 rows
        pool_size=config.threads + 4,
        max_overflow=4,
        pool_timeout=5,
        pool_use_lifo=True,
        connect_args={
            "connection_factory": round_trips.OneTripConnection,
            # After a failover the old server may still answer, but it takes no change. The URL may say something else.
            "target_session_attrs": url.query.get("target_session_attrs", "read-write"),
            "connect_timeout": 5,
            "keepalives": 1,
            "keepalives_idle": 1,
            "keepalives_interval": 1,
            "keepalives_count": 2,
            "tcp_user_timeout": 5000,
        },
    )
    settings = {  # not as startup options: a pooler refuses them
        "lock_timeout": str(config.lock_timeout_ms),
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": "30000",
        "timezone": "UTC",
        "jit": "off",
        "plan_cache_mode": "force_generic_plan",  # what is prepared is planned once: see app/prepared_statements.py
    }
    round_trips.listen(engine)
    poolers.listen(engine, settings)
    read_only.listen(engine)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions: _begin_sqlite does
    if connection.execute("PRAGMA page_count").fetchone() == (0,):  # a new file: pages can be given back later
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    # Deleted content is overwritten, also by a SQLite that was built without.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # After a deferred BEGIN, a write may fail with "database is locked". BEGIN IMMEDIATE waits for the lock.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction: it is committed at the end, or rolled back on any exception.

    Raises Busy when a lock is not free in time, and Unavailable when the database does not answer.
    """
    with translated_errors(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection for reading. Each statement sees its own snapshot and waits for no writer."""
    with translated_errors(), engine.connect() as connection:
        if not is_postgresql(connection):
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
            return
        driver: Any = connection.connection.driver_connection  # SQLAlchemy would make an event and options of it
        driver.autocommit = True
        try:
            yield connection
        finally:
            driver.autocommit = False


def write_then_read(
    engine: Engine, write: Callable[[Connection], T], read: Callable[[Connection, T], U]
) -> tuple[T, U]:
    """Run `write` in a transaction, and after its commit `read`, which sees what others have committed until then.

    On PostgreSQL the commit and the first statement of `read` are one round trip. Raises as `transaction` does.
    """
    with translated_errors(), engine.connect() as connection, connection.begin():
        written = write(connection)
        if is_postgresql(connection):
            driver: Any = connection.connection.driver_connection
            driver.commit_with_next()
            return written, read(connection, written)
    with reading(engine) as connection:
        return written, read(connection, written)


class _TranslatedErrors(AbstractContextManager[None]):
    """Not a generator, which costs ten times as much: every transaction enters it."""

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if isinstance(error, PoolTimeout):
            raise Busy("Every database connection is in use.") from error
        if isinstance(error, DBAPIError) and (refusal := _refusal_of(error)):
            raise refusal from error


_TRANSLATED_ERRORS = _TranslatedErrors()


def translated_errors() -> AbstractContextManager[None]:
    """Convert the driver's errors about locks and lost connections into the refusals of app/errors.py."""
    return _TRANSLATED_ERRORS


def _refusal_of(error: DBAPIError) -> Refusal | None:
    if getattr(error.orig, "pgcode", None) in LOCK_FAILURES:
        return Locked("Another transaction holds the lock.")
    if read_only.is_read_only(error):
        return Unavailable(read_only.DETAIL)
    if _disk_is_full(error):
        return Unavailable("The disk of the database is full.")
    if "database is locked" in str(error.orig):  # SQLite allows one writer at a time
        return Busy("Another transaction locked the database for too long.")
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return Unavailable("The database does not answer.")
    return None


def _disk_is_full(error: DBAPIError) -> bool:
    return getattr(error.orig, "pgcode", None) == DISK_FULL or "database or disk is full" in str(error.orig)


def retry_while_locked(work: Callable[[], T], seconds: float = 5.0) -> T:
    """Repeat a transaction while it raises Locked, for at most `seconds`. Then raise Locked."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return work()
        except Locked:
            if time.monotonic() > deadline:
                raise


def in_index_order(connection: Connection, statement: Any, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Execute a statement that takes its rows in the order of an index: PostgreSQL shall not sort them instead.

    A planner whose statistics do not know a new batch yet expects one row of it. It would read the whole run by another
    index and sort it: 36 ms in place of 0.5 for a lease from 30,000 tasks.
    """
    if not is_postgresql(connection):
        return connection.execute(statement, values)
    driver: Any = connection.connection.driver_connection  # the settings go along with statements: see round_trips
    driver.send_later(b"SET LOCAL enable_sort = off")
    result = connection.execute(statement, values)
    driver.send_later(b"SET LOCAL enable_sort = on")
    return result


def plan_by_statistics(connection: Connection) -> None:
    """Let the next statements of a transaction sort, and read whole tables, after one that reads by index alone."""
    if is_postgresql(connection):
        driver: Any = connection.connection.driver_connection
        driver.send_later(b"SET LOCAL enable_sort = on; SET LOCAL enable_seqscan = on")


def rows_as_json(sql: str) -> str:
    """Write SQL of PostgreSQL for one value that has the rows of a SELECT, as a list of objects."""
    return f"(SELECT coalesce(json_agg(each), '[]') FROM ({sql}) AS each)"


_CLOCK = select(func.clock_timestamp(type_=UtcTime))


def now(connection: Connection) -> datetime:
    """Read the clock of the database: it decides when leases expire. For SQLite it is the clock of this machine."""
    if is_postgresql(connection):
        return connection.execute(_CLOCK).scalar_one()
    return datetime.now(UTC)
