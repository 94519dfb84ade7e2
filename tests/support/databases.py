"""Fresh migrated databases at the price of a copy: a template is migrated once, and copied for each test.

On PostgreSQL a copy costs some 0.2 s of files. So a database that a test is done with is emptied for the next test,
and left alone if the test changed more than rows.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import psycopg2

from app.schema import migrate

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
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$
DECLARE filled text; defence record;
BEGIN
    SELECT string_agg(oid::regclass::text, ', ') INTO filled FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
        AND pg_relation_size(oid) > 0;
    IF filled IS NOT NULL THEN
        FOR defence IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger WHERE tgtype & 32 > 0 LOOP
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', defence.name, defence.tgname);
        END LOOP;
        EXECUTE 'TRUNCATE ' || filled || ' CASCADE';
        FOR defence IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger WHERE tgtype & 32 > 0 LOOP
            EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', defence.name, defence.tgname);
        END LOOP;
    END IF;
    PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence;
END $$;
"""
_LOOKS = """
SELECT md5(string_agg(word, ' ' ORDER BY word)) FROM (
    SELECT concat_ws(' ', attrelid::regclass, attname, atttypid, attnotnull, atthasdef) FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid AND relnamespace = 'public'::regnamespace WHERE NOT attisdropped
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, convalidated) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', proname, md5(prosrc)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT version_num FROM alembic_version
    UNION ALL SELECT setconfig::text FROM pg_db_role_setting JOIN pg_database ON setdatabase = pg_database.oid
        WHERE datname = current_database()
) AS words (word)
"""


class PostgresPool:
    """Migrated databases that are used again. What a test has left running is gone when the next one takes its own."""

    def __init__(self, server_url: str, template: str, opened: ExitStack) -> None:
        self._server_url = server_url
        self._template = template
        self._opened = opened
        self._idle: list[str] = []
        self._looks = _looks(f"{server_url}/{template}")

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the URL of an empty migrated database."""
        while self._idle:
            url = self._idle.pop()
            if _emptied(url) == self._looks:
                break
        else:
            url = self._opened.enter_context(postgres_database(self._server_url, self._template))
        yield url
        self._idle.append(url)


def _looks(url: str, first: str = "") -> str:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(first + _LOOKS)
        ((looks,),) = cursor.fetchall()
        return str(looks)


def _emptied(url: str) -> str | None:
    """Empty a database; return how its schema looks, or None where it does not let itself be emptied."""
    try:
        return _looks(url, _EMPTY)
    except psycopg2.Error:
        return None


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
