"""What a session is worth: it ends with the sign-out, after 12 hours, and outside of its database."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import create_app, db
from config import Config
from tests.support import signing_in
from tests.support.databases import NewDatabase
from tests.ui.visits import visitor

PAGE = {"Accept": "text/html"}


def status(client: FlaskClient) -> int:
    return client.get("/machine", headers=PAGE).status_code


def copied(client: FlaskClient, app: Flask) -> FlaskClient:
    """A client of an application that has a copy of another's cookie."""
    cookie = client.get_cookie(app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    other = app.test_client()
    other.set_cookie(cookie.key, cookie.value)
    return other


def test_a_copied_cookie_ends_with_the_sign_out(app: Flask, tokens: dict[str, str]) -> None:
    client = visitor(app, tokens, "viewer")
    copy, another = copied(client, app), visitor(app, tokens, "viewer")
    assert status(copy) == 200
    client.post("/sign-out")
    assert (status(copy), status(another)) == (303, 200)


def test_a_page_that_is_left_open_ends_too(app: Flask, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    client, real = visitor(app, tokens, "viewer"), db.now
    monkeypatch.setattr("app.services.access.tokens.TRUSTED_SECONDS", 0.0)
    monkeypatch.setattr("app.services.clock.REREAD_SECONDS", -1.0)  # it is read each time
    for hours, expected in ((8, 200), (11, 200), (13, 303)):
        later = timedelta(hours=hours)
        monkeypatch.setattr(db, "now", lambda connection, later=later: real(connection) + later)
        assert status(client) == expected


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_session_of_another_database_is_none(config: Config, new_database: NewDatabase) -> None:
    settings: dict[str, Any] = {"admin_token": "the same admin token", "embedded_worker": False}
    with new_database("sqlite") as url:
        one, other = create_app(Config(config.database_url, **settings)), create_app(Config(url, **settings))
        client = one.test_client()
        form = signing_in.form_of(client.get(signing_in.PATH).text, settings["admin_token"])
        assert client.post(signing_in.PATH, data=form).status_code == 303
        assert (status(client), status(copied(client, other))) == (200, 303)


def test_old_sessions_are_deleted(app: Flask, services: Any, tokens: dict[str, str]) -> None:
    visitor(app, tokens, "viewer")
    with services.engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET expires_at = '2020-01-01 00:00:00.000000+00:00'"))
    services.sweeper.sweep()
    with services.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sessions")).scalar() == 0
