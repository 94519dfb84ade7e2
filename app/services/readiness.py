"""Whether the database is there and at the migration that this code was written for."""

from pathlib import Path

from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db import Sessions, reading
from app.errors import Unavailable

_CURRENT = text("SELECT version_num FROM alembic_version")


class Readiness:
    """Knows the newest migration of this code."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        settings = AlembicConfig()
        settings.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))
        scripts = ScriptDirectory.from_config(settings)
        self.head = scripts.get_current_head()
        self._earlier = {script.revision for script in scripts.walk_revisions()} - {self.head}

    def missing(self) -> str | None:
        """Say what is missing before requests can be served, or None. Raises Unavailable."""
        try:
            with reading(self._sessions) as connection:
                current = connection.execute(_CURRENT).scalar_one_or_none()
        except Unavailable as error:
            if "alembic_version" in str(error.__cause__):
                return "The database has no tables yet: run the migrations."
            raise
        except DBAPIError:
            return "The database has no tables yet: run the migrations."
        # A revision that this code does not know is a later one: migrations work with the code before them.
        if current is None or current in self._earlier:
            return f"The database is at migration {current}, this code needs {self.head}: run the migrations."
        return None
