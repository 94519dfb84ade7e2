"""Runs migrations on DATABASE_URL, or on the URL that the caller passes in the Alembic config.

A migration never waits long for a lock: on a busy table it fails and can be run again. Otherwise it would block all
other transactions on that table.
"""

from alembic import context
from sqlalchemy import text

from app.db import is_postgresql, make_engine
from app.models import Base
from config import Config

given = context.config.attributes.get("database_url")
config = Config(database_url=given) if given else Config.from_environment()
connection = context.config.attributes.get("connection")


def run(connection) -> None:  # type: ignore[no-untyped-def]
    with connection.begin():
        if is_postgresql(connection):
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            # Of two processes that start together, the second waits here and then finds nothing to do.
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('interlock'), hashtext('migrations'))"))
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()


if connection is not None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = make_engine(config)
    try:
        with engine.connect() as opened:
            run(opened)
    finally:
        engine.dispose()
