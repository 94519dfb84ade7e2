"""The sentences of contract 4 about how a row is locked and written: read from what is sent to the database."""

import re

import pytest
from sqlalchemy import text

from app.services import Services
from tests.services.stories import act, create

LOCKS = {"postgresql": r"SELECT .* FOR NO KEY UPDATE", "sqlite": r"BEGIN IMMEDIATE"}


def test_the_row_is_locked_before_it_is_written(services: Services, statements: list[str]) -> None:
    """Contract 4: `SELECT ... FOR NO KEY UPDATE` on PostgreSQL, `BEGIN IMMEDIATE` on SQLite."""
    batch_id = create(services)
    statements.clear()
    act(services, batch_id, "reset")
    sent = list(statements)
    locks = [nth for nth, each in enumerate(sent) if re.search(LOCKS[services.engine.dialect.name], each)]
    writes = [nth for nth, each in enumerate(sent) if re.search(r"\bUPDATE batches\b", each)]
    assert locks
    assert len(writes) == 1
    assert locks[0] < writes[0]


def test_the_update_names_the_version(services: Services, statements: list[str]) -> None:
    """Contract 4: the `version` column is checked by the UPDATE."""
    batch_id = create(services)
    statements.clear()
    act(services, batch_id, "reset")
    (update,) = (each for each in statements if re.search(r"\bUPDATE batches\b", each))
    assert re.search(r"\bWHERE .*\bversion = ", update)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_how_long_a_request_waits_for_a_row(services: Services) -> None:
    """Contract 4: `LOCK_TIMEOUT_MS` (default 250). PostgreSQL alone: SQLite has no row locks."""
    with services.engine.connect() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "250ms"
