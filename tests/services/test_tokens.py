"""API tokens: shown once, stored as a hash, refused once expired or revoked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app import db
from app.errors import Invalid, NotFound
from app.models import ApiToken
from app.services import Services
from app.services.access import tokens
from app.services.access.tokens import Caller
from tests.services import stories


@pytest.fixture
def _trusts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Query the database every time, as happens half a second later."""
    assert tokens.TRUSTED_SECONDS < 1  # refused from the next second on
    monkeypatch.setattr(tokens, "TRUSTED_SECONDS", 0.0)


@pytest.mark.parametrize("role", ["viewer", "operator", "worker", "admin"])
def test_a_secret_finds_its_caller(services: Services, role: str) -> None:
    """Contract 5: `token` shows the secret once; the database has only its hash."""
    made = services.tokens.create("anna", role)
    assert set(made) == {"id", "name", "role", "expires_at", "created_at", "token"}
    assert services.tokens.caller(made["token"]) == Caller("anna", role, made["id"])
    (listed,) = services.tokens.list()
    assert listed == {name: made[name] for name in made if name != "token"}
    assert made["token"] not in repr(stories.snapshot(services))


@pytest.mark.parametrize("secret", ["", "ilk_", "nonsense", "ilk_" + "a" * 43, "é", "' OR 1=1 --"])
def test_an_unknown_secret_has_no_caller(services: Services, secret: str) -> None:
    services.tokens.create("anna", "admin")
    assert services.tokens.caller(secret) is None


@pytest.mark.usefixtures("_trusts_nobody")
def test_a_revoked_token_is_refused_in_every_process(services: Services, another: Callable[..., Services]) -> None:
    """Contract 5: DELETE; within a second, every process refuses the token."""
    elsewhere, made = another(), services.tokens.create("anna", "viewer")
    assert elsewhere.tokens.caller(made["token"])
    services.tokens.revoke(made["id"])
    assert services.tokens.caller(made["token"]) is None
    assert elsewhere.tokens.caller(made["token"]) is None
    assert services.tokens.list() == []
    for unknown in (made["id"], 4711):
        with pytest.raises(NotFound):
            services.tokens.revoke(unknown)


def test_a_revoked_token_is_refused_at_once_where_it_was_revoked(services: Services) -> None:
    made = services.tokens.create("anna", "viewer")
    assert services.tokens.caller(made["token"])
    services.tokens.revoke(made["id"])
    assert services.tokens.caller(made["token"]) is None


@pytest.mark.usefixtures("_trusts_nobody")
def test_a_token_expires(services: Services) -> None:
    """Contract 5: `expires_at`."""
    end = datetime.now(UTC) + timedelta(hours=1)
    made = services.tokens.create("anna", "viewer", end)
    assert made["expires_at"] == end.isoformat().replace("+00:00", "Z")
    assert services.tokens.caller(made["token"])
    with services.engine.begin() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(db.table_of(ApiToken)).values(expires_at=past))
    assert services.tokens.caller(made["token"]) is None


def test_a_token_that_has_expired_is_not_created(services: Services) -> None:
    with pytest.raises(Invalid) as refused:
        services.tokens.create("anna", "viewer", datetime.now(UTC) - timedelta(seconds=1))
    assert set(refused.value.facts["errors"]) == {"expires_at"}


def test_a_name_means_one_caller_at_a_time(services: Services) -> None:
    """Contract 4: the actor in the audit trail is a token's name."""
    made = services.tokens.create("anna", "viewer")
    with pytest.raises(Invalid) as refused:
        services.tokens.create("anna", "admin")
    assert set(refused.value.facts["errors"]) == {"name"}
    services.tokens.revoke(made["id"])
    assert services.tokens.create("anna", "admin")["id"] != made["id"]


@pytest.mark.parametrize("name", ["admin", "system", "system:sweeper"])
def test_names_of_the_service_are_reserved(services: Services, name: str) -> None:
    with pytest.raises(Invalid):
        services.tokens.create(name, "viewer")


def test_the_admins_token_of_the_settings(another: Callable[..., Services]) -> None:
    """Contract 6: ADMIN_TOKEN is valid as admin from the start; without it nobody is admin."""
    with_one, without = another(admin_token="a secret"), another()
    assert with_one.tokens.caller("a secret") == Caller("admin", "admin")
    assert with_one.tokens.caller("another") is None
    assert without.tokens.caller("a secret") is None
    assert without.tokens.caller("") is None


def test_tokens_are_listed_in_pages(services: Services) -> None:
    ids = [services.tokens.create(f"caller {n}", "viewer")["id"] for n in range(5)]
    pages: list[list[dict[str, Any]]] = []
    while page := services.tokens.list(limit=2, after=pages[-1][-1]["id"] if pages else 0):
        pages.append(page)
    assert [[token["id"] for token in page] for page in pages] == [ids[:2], ids[2:4], ids[4:]]


def test_many_callers_are_not_remembered_for_ever(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_TRUSTED", 2)
    secrets = [services.tokens.create(f"caller {n}", "viewer")["token"] for n in range(5)]
    for secret in secrets:
        assert services.tokens.caller(secret)
    assert len(services.tokens._trusted) <= 2
