"""Migrates the schema of the database and checks whether it is up to date. No other module knows the migrations."""

from functools import cache

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.db import reading, translated_errors
from app.errors import Unavailable
from app.read_only import require_writable
from app.shipped import shipped

_CURRENT = text("SELECT version_num FROM alembic_version")
_NO_TABLES = "The database has no tables yet: run the migrations."


def migrate(database_url: str, revision: str = "head", downgrade: bool = False) -> None:
    """Migrate the database to `revision`: up, or down with `downgrade`.

    A database that a later release has migrated is not changed. Raises Unavailable.
    """
    # Only a process that migrates loads Alembic: see app/server/migration.py.
    from alembic import command
    from alembic.config import Config as AlembicConfig
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    settings = AlembicConfig(shipped("alembic.ini"))
    settings.set_main_option("script_location", str(shipped("migrations")))
    settings.attributes["database_url"] = database_url
    try:
        with translated_errors():
            (command.downgrade if downgrade else command.upgrade)(settings, revision)
    except CommandError as error:
        if downgrade or not isinstance(error.__cause__, ResolutionError):
            raise


def is_known(revision: str) -> bool:
    """Whether this code has a migration; one that it does not have is of a later release."""
    return revision in known_revisions()[1]


class Readiness:
    """Compares the migration of the database with the newest migration of this code."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.head, known = known_revisions()
        self._earlier = known - {self.head}

    def missing(self) -> str | None:
        """Explain what is missing before requests can be served, or return None. Raises Unavailable."""
        try:
            with reading(self._engine) as connection:
                require_writable(connection)
                current = connection.execute(_CURRENT).scalar_one_or_none()
        except Unavailable as error:
            if "alembic_version" in str(error.__cause__):
                return _NO_TABLES
            raise
        except DBAPIError:
            return _NO_TABLES
        # An unknown revision belongs to a later release. Its migrations work with the code of the release before it.
        if current is None or current in self._earlier:
            return f"The database is at migration {current}, this code needs {self.head}: run the migrations."
        return None


@cache
def known_revisions() -> tuple[str, frozenset[str]]:
    """Return the newest migration of this code, and all of them: the numbers at the start of their files' names."""
    numbers = [path.name.partition("_")[0] for path in (shipped("migrations") / "versions").glob("[0-9]*.py")]
    return max(numbers), frozenset(numbers)
