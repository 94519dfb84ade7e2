"""Databases of both kinds at an earlier migration."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.db import make_engine
from app.schema import migrate
from config import Config

MigratedTo = Callable[[str], Engine]


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_to(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MigratedTo]:
    """Migrate an empty database, `migrated_to("0017")`, and give its engine."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("empty_postgres_url")
    with ExitStack() as opened:

        def migrated(revision: str) -> Engine:
            migrate(url, revision)
            engine = make_engine(Config(database_url=url))
            opened.callback(engine.dispose)
            return engine

        yield migrated
