"""The schema of the database: migrate it, and say whether it is up to date. Only this module knows the migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.db import reading, translated_errors
from app.errors import Unavailable

_ROOT = Path(__file__).parent.parent
_CURRENT = text("SELECT version_num FROM alembic_version")
_NO_TABLES = "The database has no tables yet: run the migrations."


def migrate(database_url: str, revision: str = "head", downgrade: bool = False) -> None:
    """Bring the database to `revision`: upwards, or downwards with `downgrade`.

    A database that a later release has migrated is left as it is. Raises Unavailable.
    """
    settings = _settings()
    settings.attributes["database_url"] = database_url
    try:
        with translated_errors():
            (command.downgrade if downgrade else command.upgrade)(settings, revision)
    except CommandError as error:
        if downgrade or not isinstance(error.__cause__, ResolutionError):
            raise


class Readiness:
    """Compares the database's migration with the newest one of this code."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        scripts = ScriptDirectory.from_config(_settings())
        self.head = scripts.get_current_head()
        self._earlier = {script.revision for script in scripts.walk_revisions()} - {self.head}

    def missing(self) -> str | None:
        """Say what is missing before requests can be served, or None. Raises Unavailable."""
        try:
            with reading(self._engine) as connection:
                current = connection.execute(_CURRENT).scalar_one_or_none()
        except Unavailable as error:
            if "alembic_version" in str(error.__cause__):
                return _NO_TABLES
            raise
        except DBAPIError:
            return _NO_TABLES
        # A revision that this code does not know is a later one: migrations work with the code of the release before.
        if current is None or current in self._earlier:
            return f"The database is at migration {current}, this code needs {self.head}: run the migrations."
        return None


def _settings() -> AlembicConfig:
    settings = AlembicConfig(_ROOT / "alembic.ini")
    settings.set_main_option("script_location", str(_ROOT / "migrations"))
    return settings
