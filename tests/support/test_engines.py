"""An engine that is used again has new connections, and no listeners of an earlier test."""

from dataclasses import replace

import pytest
from sqlalchemy import event, text

from app import db
from config import Config
from tests.support.engines import engine_for
from tests.support.waiting import wait_until


def test_one_that_was_disposed_of_is_used_again(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    first, seen = engine_for(config), []
    event.listen(first, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    with first.connect() as connection:
        connection.execute(text("SELECT 1"))
        before = connection.connection.dbapi_connection
    first.dispose()
    again, beside = engine_for(config), engine_for(config)
    with again.connect() as connection:
        connection.execute(text("SELECT 2"))
        assert connection.connection.dbapi_connection is not before
    assert seen[-1] == "SELECT 1"  # and what came after it is not seen
    assert again.dialect is first.dialect  # with what was compiled for it
    assert beside.dialect is not first.dialect  # two at once share nothing
    again.dispose()
    assert engine_for(replace(config, lock_timeout_ms=1)).dialect is not first.dialect
    monkeypatch.setattr(db, "SQLITE_WAIT_SECONDS", 1)
    assert engine_for(config).dialect is not first.dialect


def test_a_wait_returns_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([None, [], "it"])
    assert wait_until(lambda: next(looks)) == "it"
    monkeypatch.setattr("tests.support.waiting.LIMIT_SECONDS", 0.0)
    with pytest.raises(AssertionError, match="Did not come in 0 s: the train"):
        wait_until(lambda: False, lambda: "the train")
