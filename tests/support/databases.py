"""Fresh migrated databases at the price of a copy: a template is migrated once, and copied for each test."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg2

from app.db import migrate


def _execute(server_url: str, statement: str) -> None:
    with closing(psycopg2.connect(f"{server_url}/postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def postgres_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Make a database, yield its URL, and drop it, whoever is still connected."""
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


def sqlite_template(folder: Path) -> Path:
    """Make a migrated database file to copy from."""
    path = folder / "template.db"
    migrate(f"sqlite:///{path}")
    return path


def sqlite_database(template: Path, folder: Path) -> str:
    """Copy the template into `folder` and return the URL of the copy."""
    return f"sqlite:///{shutil.copy(template, folder / 'interlock.db')}"
