"""Fresh migrated databases at the price of a copy: a template is migrated once, and copied for each test.

On PostgreSQL a copy costs some 0.2 s of files. So a database that a test is done with is emptied for the next test,
and left alone if the test changed more than rows.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
from psycopg2.extensions import connection as Connection

from app.schema import migrate
from tests.support import engines

NewDatabase = Callable[[str], AbstractContextManager[str]]  # of the kind "sqlite" or "postgresql"


def _execute(server_url: str, statement: str) -> None:
    with closing(psycopg2.connect(f"{server_url}/postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def postgres_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Make a database, yield its URL, and drop it, even while there are connections."""
    name = f"test_{uuid4().hex}"
    _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield f"{server_url}/{name}"
    finally:
        _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def postgres_template(server_url: str) -> Iterator[str]:
    """Make a migrated database to copy from, and yield its name."""
    with postgres_database(server_url) as url:
        migrate(url)
        yield url.rsplit("/", 1)[1]


# The triggers refuse TRUNCATE, so they are disabled for it; a session that is left over is ended.
_EMPTY = """
SET statement_timeout = '30s';
SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity(NULL) JOIN pg_database ON datid = oid
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL (%s);
DO $$
DECLARE filled text; defence record;
BEGIN
    SELECT string_agg(oid::regclass::text, ', ') INTO filled FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
        AND pg_relation_size(oid) > 0;
    IF filled IS NOT NULL THEN
        FOR defence IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger WHERE tgtype & 32 > 0 LOOP
            EXECUTE format('ALTER TABLE %%s DISABLE TRIGGER %%I', defence.name, defence.tgname);
        END LOOP;
        EXECUTE 'TRUNCATE ' || filled || ' CASCADE';
        FOR defence IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger WHERE tgtype & 32 > 0 LOOP
            EXECUTE format('ALTER TABLE %%s ENABLE ALWAYS TRIGGER %%I', defence.name, defence.tgname);
        END LOOP;
    END IF;
    PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence;
END $$;
"""
_LOOKS = """
SELECT concat_ws(' ', count(*), sum(hashtextextended(word, 0))) FROM (
    SELECT concat_ws(' ', attrelid, attname, atttypid, attnotnull, atthasdef) FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid AND relnamespace = 'public'::regnamespace WHERE NOT attisdropped
    UNION ALL SELECT concat_ws(' ', oid, relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', conrelid, conname, convalidated) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', tgrelid, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT version_num FROM alembic_version
    UNION ALL SELECT setconfig::text FROM pg_db_role_setting JOIN pg_database ON setdatabase = pg_database.oid
        WHERE datname = current_database()
) AS words (word)
"""


class PostgresPool:
    """Migrated databases that are used again. What a test has left running is gone when the next one takes its own.

    Only the connections that engines.py keeps stay, and one for the work here.
    """

    def __init__(self, server_url: str, template: str, opened: ExitStack) -> None:
        self._server_url = server_url
        self._template = template
        self._opened = opened
        self._idle: list[str] = []
        self._connections: dict[str, Connection] = {}
        with closing(psycopg2.connect(f"{server_url}/{template}")) as connection:
            self._looks = _execute_and_fetch(connection, _LOOKS)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the URL of an empty migrated database."""
        while self._idle:
            url = self._idle.pop()
            if self._emptied(url) == self._looks:
                break
            engines.keep_none(url)
        else:
            url = self._opened.enter_context(postgres_database(self._server_url, self._template))
            engines.keep_connections(url)
        yield url
        self._idle.append(url)

    def _emptied(self, url: str) -> str | None:
        """Empty a database; return how its schema looks, or None where it does not let itself be emptied."""
        for _ in range(2):  # a test may have ended the connection
            if url not in self._connections:
                self._connections[url] = self._opened.enter_context(closing(psycopg2.connect(url)))
            try:
                looks = _execute_and_fetch(self._connections[url], _EMPTY + _LOOKS, engines.kept_backends(url))
            except psycopg2.Error:
                if not self._connections.pop(url).closed:
                    return None
            else:
                engines.close_dead(url)
                return looks
        return None


def _execute_and_fetch(connection: Connection, statement: str, *parameters: Any) -> str:
    """Read how a schema looks; empty the database first, if the statement does."""
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        ((looks,),) = cursor.fetchall()
        return str(looks)


class SqlitePool:
    """Migrated files under few names, each a fresh copy: for a name that comes again there is an engine already."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template = template
        self._folder = folder
        self._numbers = count()
        self._idle: list[Path] = []

    @contextmanager
    def database(self, again: bool = True) -> Iterator[str]:
        """Yield the URL of an empty migrated database; `again=False` if a process may outlive the block with it."""
        place = self._idle.pop() if self._idle and again else self._folder / str(next(self._numbers))
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        yield sqlite_database(self._template, place)
        if again:
            self._idle.append(place)


def sqlite_template(folder: Path) -> Path:
    """Make a migrated database file to copy from."""
    path = folder / "template.db"
    migrate(f"sqlite:///{path}")
    return path


def sqlite_database(template: Path, folder: Path) -> str:
    """Copy the template into `folder` and return the URL of the copy."""
    return f"sqlite:///{shutil.copy(template, folder / 'interlock.db')}"
