"""What browsers and strangers get: headers, methods, lengths of requests, texts of callers, and nothing of a fault."""

import socket
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from app.services.reads.batch_list import BatchList
from app.services.reads.batches import Batches
from tests.api.lives import act, bring, fail, lease, refused
from tests.support import signing_in
from tests.support.client import ApiClient
from tests.support.server import LiveServer, SharedServers
from tests.ui.visits import visitor

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SCRIPTS = sorted(Path("app/ui/static").glob("*.js"))
MARK = "<script>alert(1)</script>"


@on_one_database
@pytest.mark.parametrize(
    "path",
    ["/api/batches", "/api/nothing", "/api/openapi.json", "/api/docs", "/healthz", "/metrics", "/sign-in", "/no"],
)
def test_headers_of_every_answer(client: ApiClient, path: str) -> None:
    """No page of another site shows, embeds or reads an answer."""
    answer = client.get(path, headers={"Origin": "http://elsewhere.example"})
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    if path != "/api/docs":
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers


@on_one_database
@pytest.mark.parametrize("path", ["/", "/sign-in", "/api/batches", "/api/tasks/lease", "/healthz"])
def test_no_other_method(client: ApiClient, path: str) -> None:
    for method in ("TRACE", "PROPFIND", "LINK"):
        assert client.open(path, method=method).status_code == 405


@pytest.fixture
def server(shared_servers: SharedServers) -> LiveServer:
    return shared_servers("sqlite").server


def first_line(server: LiveServer, request: bytes) -> bytes:
    """Send a request as it stands; return the first line of what is answered, or nothing of a closed connection."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(request)
        return client.makefile("rb").readline()


POST = b"POST /api/batches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: 2, 2\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Content-Length : 2\r\n",
    ],
    ids=["two", "signed", "listed", "unknown", "not last", "space"],
)
def test_a_length_that_two_servers_could_read_differently(server: LiveServer, lengths: bytes) -> None:
    status = int(first_line(server, POST + lengths + b"\r\n{}").split()[1])
    assert status in (400, 501)


def test_chunks_go_before_a_length(server: LiveServer) -> None:
    """It answers when the last chunk is there, and does not wait for the bytes that the length promises."""
    request = POST + b"Content-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert first_line(server, request).split()[1] in (b"401", b"400")


@on_one_database
def test_a_fault_gives_nothing_away(app: Flask, client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_with_a_secret(*_: Any) -> None:
        raise RuntimeError("SELECT secret FROM passwords")

    viewer = visitor(app, client.tokens, "viewer")
    monkeypatch.setattr(Batches, "show", fail_with_a_secret)
    with capture_logs() as logged:
        problem = refused(client.get("/api/batches/1"), 500)
        page = viewer.get("/batches/1/files", headers={"Accept": "text/html"})
        monkeypatch.setattr(BatchList, "sections", fail_with_a_secret)
        listed = viewer.get("/", headers={"Accept": "text/html"})
    assert problem["code"] == "internal_error"
    for text in (str(problem), page.text, listed.text):
        assert "passwords" not in text
        assert "Traceback" not in text
    faults = [entry for entry in logged if entry["event"] == "request_failed"]
    assert [entry["path"] for entry in faults] == ["/api/batches/1", "/"]
    assert "passwords" in faults[0]["error"]


@on_one_database
def test_texts_of_callers_are_texts_on_every_page(app: Flask, client: ApiClient) -> None:
    named = {"name": MARK, "text": f"{MARK} {{document}}"}
    batch = bring(
        client,
        "ANALYZING",
        name=MARK,
        description=MARK,
        prompts=[named],
        models=[{"connection": MARK, "model": MARK}],
    )
    path = f"/batches/{batch['id']}"
    first, second = lease(client, batch["id"], worker=MARK)
    fail(client, first, error={"code": MARK, "message": MARK}, retryable=False)
    client.post(f"/api/batches/{batch['id']}/action", json={"action": "pause", "context": {"reason": MARK}})
    act(client, batch["id"], "resume")
    document = second["payload"]["document"]["id"]
    client.post("/api/tokens", json={"name": MARK, "role": "viewer"})
    admin = visitor(app, client.tokens, "admin")
    app.extensions["interlock"].sightings.write()
    pages = (
        "",
        "/tasks",
        f"/tasks/{first['id']}",
        "/results",
        "/results/sums",
        f"/results/{document}",
        "/files",
        "/audit",
    )
    for address in (*(path + each for each in pages), "/", "/workers", "/requests", "/tokens", "/batches/new"):
        text = admin.get(address, headers={"Accept": "text/html"}).text
        assert "<html" in text or address.endswith("/audit"), address
        assert MARK not in text, address
        assert "&lt;script&gt;alert" in text or address in ("/requests", f"{path}/files"), address


def test_our_scripts_make_no_html_of_texts() -> None:
    assert len(SCRIPTS) > 5
    for script in SCRIPTS:
        text = script.read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "localStorage",
        ):
            assert way not in text, f"{script.name}: {way}"


@on_one_database
def test_a_second_sign_in_ends_the_first(app: Flask, tokens: dict[str, str]) -> None:
    client = visitor(app, tokens, "viewer")
    cookie = client.get_cookie(app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    copy: FlaskClient = app.test_client()
    copy.set_cookie(cookie.key, cookie.value)
    form = signing_in.form_of(app.test_client().get(signing_in.PATH).text, tokens["operator"])
    with capture_logs() as logged:
        client.post(signing_in.PATH, data={**form, "csrf_token": client.environ_base["HTTP_X_CSRFTOKEN"]})
    assert client.get("/machine", headers={"Accept": "text/html"}).status_code == 200
    assert copy.get("/machine", headers={"Accept": "text/html"}).status_code == 303
    assert [entry["actor"] for entry in logged if entry["event"] == "signed_in"] == ["a operator"]
