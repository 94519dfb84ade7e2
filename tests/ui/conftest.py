"""Who visits the pages: Flask's client, and a real browser (Chromium by Playwright) with what a page has to keep to."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, expect, sync_playwright

from app.services import Services
from tests.support import signing_in
from tests.support.chromium import NoChromium, launched
from tests.support.server import LiveServer, StartServer
from tests.support.waiting import LIMIT_SECONDS
from tests.ui.visits import visitor

AXE = Path(__file__).with_name("axe.min.js").read_text()
# What htmx says of a request that ended because the page was left; one that failed has another word as well.
LEFT = ("htmx:afterRequest,", "htmx:sendAbort,")
# For tests of how pages look, and what their scripts do under the hands of a visitor: that depends on no database.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

expect.set_options(timeout=LIMIT_SECONDS * 1000)

_visited: dict[str, LiveServer] = {}  # the site of the running test, for sign_in


@pytest.fixture
def service(app: Flask) -> Services:
    """The services of the application under test, not of a second one on its database."""
    found: Services = app.extensions["interlock"]
    return found


@pytest.fixture
def operator(app: Flask, tokens: dict[str, str]) -> FlaskClient:
    return visitor(app, tokens, "operator")


@pytest.fixture
def viewer(app: Flask, tokens: dict[str, str]) -> FlaskClient:
    return visitor(app, tokens, "viewer")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            browser = launched(playwright)
        except NoChromium as error:
            pytest.fail(str(error), pytrace=False)
        yield browser
        browser.close()


@pytest.fixture
def own_site() -> None:
    """Names a test whose site is its own, on a fresh database: it uses what a site offers once, or stops it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database, once of each kind; for a test in a browser, the one of a site that others have visited."""
    if "site" in request.fixturenames and "own_site" not in request.fixturenames:
        return str(request.getfixturevalue("shared_servers")(request.param).database_url)
    return str(request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]))


@pytest.fixture
def site(request: pytest.FixtureRequest, start_server: StartServer, database_url: str) -> Iterator[LiveServer]:
    """A service on the test's database. It holds other tests' batches, unless it is the test's own."""
    if "own_site" in request.fixturenames:
        server = start_server(database_url)
    else:
        server = request.getfixturevalue("shared_servers")(database_url.partition(":")[0]).server
    _visited["site"] = server
    yield server
    del _visited["site"]


class Witness:
    """Sees what a browser did: errors in its console, requests that left the host, answers that failed."""

    def __init__(self, site: LiveServer) -> None:
        self._home = site.url
        self._expected: set[int] = set()
        self.wrong: list[str] = []

    def expect(self, *statuses: int) -> None:
        """Say which statuses of failure the test brings about itself."""
        self._expected |= set(statuses)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.wrong.append(f"error of a script: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message: Any) -> None:
        # A failed answer is judged by its status, below.
        said = message.text
        is_of_status = "Failed to load resource" in said or (self._expected and "Response Status Error Code" in said)
        is_of_leaving = said.startswith(LEFT)
        # The stream of /live ends after 25 s, and is refused where enough are open: the page goes on without it.
        is_of_stream = "/live" in said or said == "[object Event]"
        if message.type == "error" and not (is_of_status or is_of_leaving or is_of_stream):
            self.wrong.append(f"console: {said}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._home, "data:", "blob:")):
            self.wrong.append(f"left the host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._expected and "/live" not in response.url:
            self.wrong.append(f"{response.status} of {response.url}")


@pytest.fixture
def witness(site: LiveServer) -> Iterator[Witness]:
    seen = Witness(site)
    yield seen
    assert seen.wrong == []


@pytest.fixture(scope="session")
def profiles(chromium: Browser) -> Callable[[str], BrowserContext]:
    """Give the profile of the visitors of a site: the files of its pages are loaded once for all tests."""

    @cache
    def profile(url: str) -> BrowserContext:
        return chromium.new_context(base_url=url)

    return profile


@pytest.fixture
def browser_page(
    request: pytest.FixtureRequest, chromium: Browser, profiles: Callable[[str], BrowserContext], site: LiveServer,
    witness: Witness,
) -> Iterator[Page]:  # fmt: skip
    """An empty page of a browser that has nothing of the site but its files."""
    is_own = "own_site" in request.fixturenames
    context = chromium.new_context(base_url=site.url) if is_own else profiles(site.url)
    page = context.new_page()
    page.set_default_timeout(LIMIT_SECONDS * 1000)
    witness.watch(page)
    yield page
    if is_own:
        context.close()
        return
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", {"origin": site.url, "storageTypes": "all"})
    for each in context.pages:
        each.close()


def sign_in(page: Page, role: str) -> None:
    """Give the browser the cookies of somebody who has signed in: the form itself is slower, and has its own tests."""
    site = _visited["site"]
    with requests.Session() as http:
        form = signing_in.form_of(http.get(site.url + signing_in.PATH).text, site.tokens[role])
        assert http.post(site.url + signing_in.PATH, data=form, allow_redirects=False).status_code == 303
        page.context.add_cookies([{"name": each.name, "value": each.value, "url": site.url} for each in http.cookies])


def assert_accessible(page: Page) -> None:
    """Hold the page against axe-core's rules (WCAG 2 and good practice)."""
    page.evaluate(AXE)
    _assert_no_violation(page)


def assert_accessible_in_light_and_dark(page: Page) -> None:
    """The same; and once more in dark colours, for the rules that look at colours."""
    page.emulate_media(color_scheme="light")
    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    _assert_no_violation(page, runOnly=["cat.color"])


def _assert_no_violation(page: Page, **options: list[str]) -> None:
    # What is in order is looked at, too, but axe-core does not describe it: that takes longer than the looking.
    run = "options => axe.run(options).then(found => found.violations)"
    found = page.evaluate(run, {"resultTypes": ["violations"], **options})
    assert not found, [
        (rule["id"], [node["html"][:200] + " " + node["failureSummary"] for node in rule["nodes"][:3]])
        for rule in found
    ]
