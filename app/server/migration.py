"""Migrates the database at the start of a server, in a process of its own: Alembic takes 7 MB, and goes with it."""

import multiprocessing
from contextlib import suppress

from app.db import make_engine
from app.schema import Readiness, migrate
from config import Config


def migrate_apart(config: Config) -> None:
    """Migrate the database to its newest form, if it is not up to date. Raises Unavailable.

    If the other process fails, this one tries it again, so that the caller gets the error.
    """
    if _is_up_to_date(config):
        return
    url = config.database_url
    migration = multiprocessing.get_context("fork").Process(target=_try_to_migrate, args=(url,), daemon=True)
    migration.start()
    migration.join()
    if not _is_up_to_date(config):
        migrate(url)


def _try_to_migrate(database_url: str) -> None:
    with suppress(Exception):
        migrate(database_url)


def _is_up_to_date(config: Config) -> bool:
    engine = make_engine(config)
    try:
        return Readiness(engine).missing() is None
    finally:
        engine.dispose()
