"""Whether requests can be served: the database there, and at the migration of this code."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from app.errors import Unavailable
from app.schema import migrate
from app.services import Services, build
from config import Config
from tests.support.postgres import free_port


def test_a_migrated_database_is_ready(services: Services) -> None:
    """Contract 5: `/readyz`."""
    assert services.readiness.missing() is None


def test_a_database_that_is_behind_is_not(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 5: 503 while the database is behind its migrations."""
    present = services.readiness.head
    monkeypatch.setattr(services.readiness, "head", "next")
    monkeypatch.setattr(services.readiness, "_earlier", {present})
    told = f"The database is at migration {present}, this code needs next: run the migrations."
    assert services.readiness.missing() == told


def test_a_database_that_is_ahead_is_ready(services: Services) -> None:
    """Migrations work with the code before them: a revision that this code does not know is a later one."""
    with services.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert services.readiness.missing() is None


def test_an_empty_database_is_not(config: Config) -> None:
    migrate(config.database_url, "base", downgrade=True)
    services = build(config)
    try:
        assert "run the migrations" in str(services.readiness.missing())
    finally:
        services.engine.dispose()


def test_a_database_that_was_never_migrated_is_not(empty_postgres_url: str, tmp_path: object) -> None:
    for url in (empty_postgres_url, f"sqlite:///{tmp_path}/empty.db"):
        services = build(Config(database_url=url))
        try:
            assert services.readiness.missing() == "The database has no tables yet: run the migrations."
        finally:
            services.engine.dispose()


def test_a_database_that_is_away(postgres_url: str) -> None:
    """Contract 5: 503 while the database is away. PostgreSQL alone: a file is there or is made."""
    away = replace(Config(database_url=postgres_url), database_url=f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    services = build(away)
    try:
        with pytest.raises(Unavailable):
            services.readiness.missing()
    finally:
        services.engine.dispose()
