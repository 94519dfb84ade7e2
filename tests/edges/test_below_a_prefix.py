"""The service at /interlock/ of a proxy: links, forms, scripts, redirects, Location and cookies follow the prefix."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urljoin, urlsplit

import lxml.html
import pytest
import requests

from app import create_app
from config import Config
from tests.support.databases import NewDatabase
from tests.support.server import LiveServer, SharedServers, running_server
from tests.support.waiting import LIMIT_SECONDS

PREFIX = "/interlock"
FORWARDED = {"X-Forwarded-Prefix": PREFIX, "X-Forwarded-Host": "public.example", "X-Forwarded-Proto": "https"}
ADDRESSES = (
    "//@*[name()='href' or name()='src' or name()='action' or starts-with(name(), 'hx-') or name()='sse-connect'"
)
ADDRESSES += " or (starts-with(name(), 'data-') and name()!='data-root')]"
BODY = {
    "name": "n",
    "documents": [{"name": "a", "text": "x"}],
    "prompts": [{"name": "p", "text": "{document}"}],
    "models": [{"connection": "local", "model": "textstats"}],
}


class Proxy(BaseHTTPRequestHandler):
    """Passes what is below PREFIX on without it, and says so in headers, as a reverse proxy does."""

    target: str

    def _pass_on(self) -> None:
        if not self.path.startswith(PREFIX + "/"):
            self.send_error(404, "not Interlock")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = {name: value for name, value in self.headers.items() if name not in ("Host", "Connection")}
        sent |= {"X-Forwarded-Prefix": PREFIX, "X-Forwarded-Host": self.headers["Host"], "X-Forwarded-Proto": "http"}
        url = self.target + self.path.removeprefix(PREFIX)
        answer = requests.request(
            self.command, url, data=body, headers=sent, allow_redirects=False, timeout=LIMIT_SECONDS
        )
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in ("Transfer-Encoding", "Connection", "Content-Length", "Content-Encoding", "Server", "Date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server(new_database: NewDatabase) -> Iterator[LiveServer]:
    with new_database("sqlite") as url, running_server(url, TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8") as running:
        yield running


@pytest.fixture(scope="module")
def site(server: LiveServer) -> Iterator[str]:
    """The address at which visitors find the service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("To", (Proxy,), {"target": server.url})) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}{PREFIX}"
        proxy.shutdown()


@pytest.fixture(scope="module")
def batch(site: str, server: LiveServer) -> str:
    """The path of a batch that is STAGING, with a document."""
    with server.session() as http:
        made = http.post(f"{site}/api/batches", json=BODY, timeout=LIMIT_SECONDS)
        http.post(f"{site}/api/batches", json=BODY, timeout=LIMIT_SECONDS)
        address = f"{site}/api/batches/{made.json()['id']}"
        http.post(f"{address}/action", json={"action": "stage"}, timeout=LIMIT_SECONDS).raise_for_status()
    assert made.headers["Location"] == urlsplit(address).path
    return f"/batches/{made.json()['id']}"


@pytest.fixture(scope="module")
def visitor(site: str, server: LiveServer) -> Iterator[requests.Session]:
    with requests.Session() as session:
        form = session.get(f"{site}/sign-in", timeout=LIMIT_SECONDS).text
        values = {"csrf_token": re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', form)[0], "next": "/workers?a=1"}
        values["token"] = server.tokens["admin"]
        address = urljoin(site + "/", re.findall(r'<form method="post" action="([^"]+)"', form)[0])
        answer = session.post(address, data=values, allow_redirects=False, timeout=LIMIT_SECONDS)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{PREFIX}/workers?a=1")
        yield session


def test_every_link_of_every_page_stays_below_the_prefix(site: str, visitor: requests.Session, batch: str) -> None:
    """Walk through the pages as a visitor may, and open each address that a page or its script would open."""
    waiting, seen, wrong = [PREFIX + "/", f"{PREFIX}{batch}/files", f"{PREFIX}/nowhere"], set(), []
    while waiting:
        path = waiting.pop()
        if path in seen or "/live" in path:  # a stream does not end for a while
            continue
        seen.add(path)
        answer = visitor.get(urljoin(site, path), headers={"Accept": "text/html"}, timeout=LIMIT_SECONDS)
        if path != f"{PREFIX}/nowhere" and answer.status_code not in (200, 405):  # the address of a form
            wrong.append(f"{path}: {answer.status_code}")
        if answer.status_code == 405 or not answer.headers["Content-Type"].startswith("text/html"):
            continue
        for found in map(str, lxml.html.fromstring(answer.text).xpath(ADDRESSES)):
            if found.startswith("/") and not found.startswith(PREFIX + "/") and found != PREFIX:
                wrong.append(f"{path}: {found}")
            elif found.startswith("/") and "sign-out" not in found:
                waiting.append(found)
    assert not wrong, "\n".join(wrong)
    assert len(seen) > 30


def test_what_pages_name_in_texts_and_scripts(site: str, visitor: requests.Session, batch: str) -> None:
    """The shell commands that pages show, and the roots that scripts read."""
    for path in ("/?name=nothing-has-this-name", batch, "/", f"{batch}/files", f"{batch}/act/stage"):
        text = visitor.get(f"{site}{path}", timeout=LIMIT_SECONDS).text
        assert not re.findall(r"http://[^/\s]+/api/\S*", text), path
        assert f'data-root="{PREFIX}"' in text or "<html" not in text
    start = visitor.get(f"{site}/api/docs/start.js", timeout=LIMIT_SECONDS).text
    assert f'"{PREFIX}/api/openapi.json"' in start
    document = visitor.get(f"{site}/api/openapi.json", timeout=LIMIT_SECONDS).json()
    assert document["servers"] == [{"url": PREFIX}]


def test_redirects_and_locations(site: str, server: LiveServer, batch: str) -> None:
    stranger = requests.get(f"{site}{batch}", allow_redirects=False, timeout=LIMIT_SECONDS)
    assert stranger.headers["Location"].startswith(f"{PREFIX}/sign-in?next=")
    with server.session() as http:
        body = {"name": "t", "role": "viewer"}
        made = http.post(f"{site}/api/tokens", json=body, timeout=LIMIT_SECONDS)
        assert made.headers["Location"] == f"{PREFIX}/api/tokens/{made.json()['id']}"
        missing = http.get(f"{site}/api/batches/999999", timeout=LIMIT_SECONDS)
        assert missing.json()["instance"] == f"{PREFIX}/api/batches/999999"


def test_the_cookie_is_for_the_prefix(site: str, visitor: requests.Session) -> None:
    assert {cookie.path for cookie in visitor.cookies} == {PREFIX}


def test_the_same_service_without_its_proxy(server: LiveServer, batch: str) -> None:
    """A program on the same machine uses the service directly."""
    with server.session() as http:
        made = http.post(f"{server.url}/api/batches", json=BODY, timeout=LIMIT_SECONDS)
    assert made.headers["Location"] == f"/api/batches/{made.json()['id']}"


def test_nobody_else_is_believed(shared_servers: SharedServers) -> None:
    """Contract 6: without TRUSTED_PROXIES the headers are a caller's, who may write anything."""
    server = shared_servers("sqlite").server
    with server.session() as http:
        made = http.post(f"{server.url}/api/batches", json=BODY, headers=FORWARDED, timeout=LIMIT_SECONDS)
        assert made.headers["Location"] == f"/api/batches/{made.json()['id']}"
    page = requests.get(f"{server.url}/sign-in", headers=FORWARDED, timeout=LIMIT_SECONDS)
    assert f"{PREFIX}/" not in page.text
    assert "public.example" not in page.text


def _location(trusted: str, sqlite_url: str, **environ: str) -> str:
    app = create_app(Config(database_url=sqlite_url, trusted_proxies=trusted, embedded_worker=False, sweeper=False))
    answer = app.test_client().get("/batches/1", environ_overrides=environ)
    app.extensions["interlock"].engine.dispose()
    return str(answer.headers["Location"])


@pytest.mark.parametrize(
    ("trusted", "sender", "is_believed"),
    [
        ("1", "192.0.2.1", True),
        ("127.0.0.1,10.0.0.0/8", "10.9.9.9", True),
        ("127.0.0.1,10.0.0.0/8", "11.9.9.9", False),
        ("::1", "::1", True),
        ("0", "127.0.0.1", False),
        ("127.0.0.1", "", False),
    ],
)
def test_which_proxies_are_believed(sqlite_url: str, trusted: str, sender: str, is_believed: bool) -> None:
    found = _location(trusted, sqlite_url, REMOTE_ADDR=sender, HTTP_X_FORWARDED_PREFIX=PREFIX)
    assert found.startswith(PREFIX) == is_believed


@pytest.mark.parametrize("prefix", ["//evil.example", "http://evil.example", '/a"b', "/a b", "a", "/a/../b", "/%2e"])
def test_a_prefix_that_is_no_path_is_ignored(sqlite_url: str, prefix: str) -> None:
    """A proxy may pass a caller's header on."""
    assert _location("1", sqlite_url, HTTP_X_FORWARDED_PREFIX=prefix).startswith("/sign-in")


def test_script_name_of_another_wsgi_server(sqlite_url: str) -> None:
    assert _location("0", sqlite_url, SCRIPT_NAME=PREFIX).startswith(f"{PREFIX}/sign-in")
