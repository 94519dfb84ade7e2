"""Backup and restore of a SQLite database, with SQLite's own online copy: the whole database, or nothing.

A backup shows one moment, beside a running service that goes on writing. A restore replaces the content in one
transaction of SQLite; it needs the database for itself.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from app import schema
from app.server.sqlite_file import NotPossible, alone, path_of

PAGES = 2_048  # copied between two reports of the progress
Progress = Callable[[int, int], None]  # pages copied, and all of them


def backup(database_url: str, file: Path, progress: Progress) -> None:
    """Write a backup to a file that only its owner can read. An older file is replaced when the new one is complete.

    Raises NotPossible.
    """
    database = path_of(database_url)
    if not database.exists():
        raise NotPossible(f"There is no database {database}.")
    if file.exists() and file.samefile(database):
        raise NotPossible("This file is the database itself.")
    part = file.with_name(f"{file.name}.part")
    with suppress(FileNotFoundError):
        part.unlink()
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(_opened(database)) as source, closing(sqlite3.connect(part)) as target:
            # An open transaction keeps the moment: otherwise each write of the service would start the copy again.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            _copy(source, target, progress)
        _flush(part)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def restore(database_url: str, file: Path, progress: Progress) -> None:
    """Replace the content of the database by that of a backup, and migrate it. Raises NotPossible, Unavailable."""
    database = path_of(database_url)
    _check(file)
    if database.exists() and file.samefile(database):
        raise NotPossible("This file is the database itself.")
    database.parent.mkdir(parents=True, exist_ok=True)
    database.touch(mode=0o600)
    with alone(database) as target, closing(_opened(file)) as source:
        _copy(source, target, progress)
    schema.migrate(database_url)


def batches_in(database_url: str) -> int:
    """Count the batches of the database that a restore would replace; 0 if there is no database."""
    database = path_of(database_url)
    if not database.exists():
        return 0
    with closing(_opened(database)) as connection, suppress(sqlite3.OperationalError):
        return int(connection.execute("SELECT count(*) FROM batches").fetchone()[0])
    return 0


def _check(file: Path) -> None:
    """Check that a file is a whole backup that this release can read. Raises NotPossible."""
    if not file.is_file():
        raise NotPossible(f"There is no file {file}.")
    try:
        with closing(_opened(file)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.DatabaseError, TypeError) as error:
        raise NotPossible(f"{file} is no backup of Interlock: {error}. Nothing was changed.") from error
    if found != "ok":
        raise NotPossible(f"{file} is damaged: {found}. Nothing was changed.")
    if not schema.is_known(revision):
        raise NotPossible(
            f"{file} is of a later release (migration {revision}): restore it with that release. Nothing was changed."
        )


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{_quoted(file)}?mode=ro", uri=True, timeout=5, isolation_level=None)


def _quoted(file: Path) -> str:
    return str(file.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, progress: Progress) -> None:
    source.backup(target, pages=PAGES, progress=lambda _, left, total: progress(total - left, total), sleep=0)


def _flush(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())
