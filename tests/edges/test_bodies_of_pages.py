"""The bodies that pages take: small ones from strangers, and none is parsed before it was judged."""

import io

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.ui.visits import forge_proof, visitor

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FORM = "application/x-www-form-urlencoded"
MANY_FIELDS = b"&".join([b"a="] * 15_000)  # 45 kB


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def operator(app: Flask, tokens: dict[str, str]) -> FlaskClient:
    client = visitor(app, tokens, "operator")
    del client.environ_base["HTTP_X_CSRFTOKEN"]
    return client


def sent(client: FlaskClient, path: str, body: bytes, csrf: str | None = None) -> int:
    """Post a form, with a CSRF token in the header; return the status."""
    headers = {} if csrf is None else {"X-CSRFToken": csrf}
    return client.post(path, data=body, content_type=FORM, headers=headers).status_code


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
@pytest.mark.parametrize("in_header", [False, True])
def test_a_stranger_sends_a_small_form(stranger: FlaskClient, path: str, in_header: bool) -> None:
    token = forge_proof(stranger)
    header = token if in_header else None
    assert sent(stranger, path, b"token=" + b"x" * 64 * 1024 + b"&csrf_token=" + token.encode(), header) == 413
    assert sent(stranger, path, MANY_FIELDS + b"&csrf_token=" + token.encode(), header) == 413
    assert sent(stranger, path, b"token=wrong&csrf_token=" + token.encode(), header) in (401, 303)


def test_a_multipart_form_has_the_same_limits(stranger: FlaskClient) -> None:
    token = forge_proof(stranger)
    assert (
        stranger.post("/sign-in", data={"csrf_token": token, "file": (io.BytesIO(b"x" * 65_536), "a")}).status_code
        == 413
    )
    parts = {f"a{number}": "" for number in range(900)}
    assert (
        stranger.post("/sign-in", data={"csrf_token": token, **parts}, content_type="multipart/form-data").status_code
        == 413
    )


def test_a_body_of_unknown_length_has_the_same_limit(stranger: FlaskClient) -> None:
    body = io.BytesIO(b"token=" + b"a" * 64 * 1024)
    environ = {"wsgi.input_terminated": True, "wsgi.input": body, "CONTENT_TYPE": FORM}
    assert stranger.post("/sign-in", environ_overrides=environ).status_code == 413


def test_a_long_form_needs_its_csrf_token_in_a_header(operator: FlaskClient) -> None:
    token = forge_proof(operator, "/machine")
    form = f"name=long&prompt_text={'x' * 100_000}&csrf_token={token}".encode()
    assert sent(operator, "/batches/new", form) == 413
    assert sent(operator, "/batches/new", form, "forged") == 400
    assert sent(operator, "/batches/new", form, token) in (303, 422)
    assert sent(operator, "/batches/new", MANY_FIELDS, token) == 413


@pytest.mark.parametrize("path", ["/batches/1/files?name=a", "/batches/1/files/known", "/batches/new/lines?name=a"])
def test_an_upload_or_json_needs_its_csrf_token_in_a_header(operator: FlaskClient, path: str) -> None:
    token = forge_proof(operator, "/machine")
    assert sent(operator, path, f"csrf_token={token}".encode()) == 400
    assert sent(operator, path, b"", token) in (404, 422)
