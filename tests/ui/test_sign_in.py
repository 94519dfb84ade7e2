"""Sign-in: by token, by a link that is good once; what a session is worth, and to whom."""

import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.errors import Busy
from app.services import Services
from app.services.access.sessions import Sessions
from app.services.access.tokens import TokenStore
from config import Config
from tests.support.client import ApiClient
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.ui.visits import forge_proof, visitor

PAGE = {"Accept": "text/html"}


def asked(client: FlaskClient, **form: str) -> tuple[int, str]:
    """Send the form of sign-in; return the status, and where it leads or what it says."""
    response = client.post("/sign-in", data={"csrf_token": forge_proof(client), **form})
    return response.status_code, response.headers.get("Location") or response.get_data(as_text=True)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return app.test_client()


def test_a_page_leads_to_sign_in_and_back(stranger: FlaskClient, client: ApiClient) -> None:
    away = stranger.get("/batches/7?x=1", headers=PAGE)
    assert (away.status_code, away.headers["Location"]) == (303, "/sign-in?next=/batches/7?x%3D1")
    assert asked(stranger, token=client.tokens["viewer"], next="/workers") == (303, "/workers")
    assert stranger.get("/", headers=PAGE).status_code == 200


ELSEWHERE = (
    "//evil.example",
    "https://evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/a b",
)


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_it_leads_to_no_other_host(stranger: FlaskClient, client: ApiClient, elsewhere: str) -> None:
    assert asked(stranger, token=client.tokens["viewer"], next=elsewhere) == (303, "/")


def test_who_cannot_sign_in(stranger: FlaskClient, client: ApiClient) -> None:
    for token, said in (("nonsense", "not valid"), ("", "not valid"), (client.tokens["worker"], "worker&#39;s token")):
        status, page = asked(stranger, token=token)
        assert status == 401
        assert said in page
    assert stranger.get("/", headers=PAGE).status_code == 303


def test_a_script_gets_an_error_and_no_redirect(stranger: FlaskClient) -> None:
    assert stranger.get("/", headers={"HX-Request": "true"}).status_code == 401
    assert stranger.get("/live", headers={"Accept": "text/event-stream"}).status_code == 401
    assert stranger.post("/tokens", data={}).status_code == 401


def test_a_link_works_once(app: Flask, services: Services) -> None:
    tokens = TokenStore(services.engine, services.clock.now, "secret")
    sessions = Sessions(services.engine, tokens)
    app.extensions["interlock"] = replace(services, tokens=tokens, sessions=sessions)
    first, second = app.test_client(), app.test_client()
    code = services.sign_in_links.make()
    assert "signs you in as admin" in first.get(f"/sign-in?code={code}").get_data(as_text=True)  # to look is not to use
    assert asked(first, code=code) == (303, "/")
    assert first.get("/tokens", headers=PAGE).status_code == 200
    status, said = asked(second, code=code)
    assert (status, "used before" in said) == (401, True)
    assert second.get("/", headers=PAGE).status_code == 303


def used(services: Services, code: str) -> bool:
    """Use a link; again, as a visitor does, if the service was busy: SQLite's one lock was held for too long."""

    def tried() -> tuple[bool] | None:
        with suppress(Busy):
            return (services.sign_in_links.use(code),)
        return None

    (was_valid,) = wait_until(tried, "a service that is not busy") or (False,)
    return was_valid


@pytest.mark.soak(rounds=50)
def test_two_visitors_use_a_link_at_once_and_one_is_signed_in(services: Services) -> None:
    for _ in range(10):
        code, at_once, told = services.sign_in_links.make(), threading.Barrier(4), []

        def use(code: str = code, at_once: threading.Barrier = at_once, told: list[bool] = told) -> None:
            at_once.wait(LIMIT_SECONDS)
            told.append(used(services, code))

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_SECONDS)
        assert sorted(told) == [False, False, False, True]


def test_a_session_ends_with_its_token(app: Flask, client: ApiClient, services: Services) -> None:
    signed_in = visitor(app, client.tokens, "operator")
    assert signed_in.get("/", headers=PAGE).status_code == 200
    store = app.extensions["interlock"].tokens
    (token_id,) = [row["id"] for row in store.list() if row["role"] == "operator"]
    store.revoke(token_id)
    assert signed_in.get("/", headers=PAGE).status_code == 303


def test_sessions_end_with_the_admin_token(config: Config) -> None:
    first = create_app(replace(config, admin_token="one")).test_client()
    assert asked(first, token="one") == (303, "/")
    cookie = first.get_cookie(f"interlock_{config.port}")
    assert cookie is not None
    for token, status in (("one", 200), ("two", 303)):
        other = create_app(replace(config, admin_token=token)).test_client()
        other.set_cookie(cookie.key, cookie.value)
        assert other.get("/", headers=PAGE).status_code == status


def test_sign_out(app: Flask, client: ApiClient) -> None:
    signed_in = visitor(app, client.tokens, "viewer")
    assert signed_in.post("/sign-out").headers["Location"] == "/sign-in"
    assert signed_in.get("/", headers=PAGE).status_code == 303


def test_a_form_of_another_site_is_refused(app: Flask, client: ApiClient) -> None:
    signed_in = visitor(app, client.tokens, "admin")
    for forged in ("", "forged"):
        signed_in.environ_base["HTTP_X_CSRFTOKEN"] = forged
        response = signed_in.post("/tokens", data={"name": "x", "role": "admin"}, headers=PAGE)
        assert response.status_code == 400
        assert "Load the page again" in response.get_data(as_text=True)
    assert "x" not in [row["name"] for row in app.extensions["interlock"].tokens.list()]


def test_the_api_takes_no_session_and_gives_none(app: Flask, client: ApiClient) -> None:
    signed_in = visitor(app, client.tokens, "admin")
    assert signed_in.get("/api/batches").status_code == 401
    assert "Set-Cookie" in app.test_client().get("/sign-in").headers
    for path in ("/api/batches", "/api/openapi.json", "/api/nothing"):
        assert "Set-Cookie" not in signed_in.get(path).headers


def test_what_answers_carry(stranger: FlaskClient, client: ApiClient) -> None:
    page = stranger.get("/sign-in")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    cookie = page.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    behind_tls = client.application.test_client().get("/sign-in", headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in behind_tls.headers["Set-Cookie"]


def test_roles_see_what_they_may(app: Flask, client: ApiClient) -> None:
    for role, tokens, new in (("viewer", 403, 403), ("operator", 403, 200), ("admin", 200, 200)):
        signed_in = visitor(app, client.tokens, role)
        assert signed_in.get("/tokens", headers=PAGE).status_code == tokens
        assert signed_in.get("/batches/new", headers=PAGE).status_code == new
        page = signed_in.get("/", headers=PAGE).get_data(as_text=True)
        assert ('href="/batches/new"' in page) == (new == 200)
        assert ('href="/tokens"' in page) == (tokens == 200)
