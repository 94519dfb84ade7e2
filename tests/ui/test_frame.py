"""The frame around every page: unknown addresses, fragments, accessibility."""

import re

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from tests.support.client import ApiClient
from tests.support.server import LiveServer
from tests.ui.conftest import Witness, assert_accessible_in_light_and_dark, on_one_database, sign_in
from tests.ui.visits import one, parsed, visitor, words

BROWSES = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"  # Chromium's
}


@pytest.mark.parametrize("path", ["/nothing", "/batches/99999999999999999999", "/static/none.js", "/sign-out"])
def test_a_browser_gets_a_page_for_an_unknown_address(app: Flask, client: ApiClient, path: str) -> None:
    answer = visitor(app, client.tokens, "viewer").get(path, headers=BROWSES)
    page = parsed(answer, 405 if path == "/sign-out" else 404)
    assert words(one(page, "//main//a")) == "All batches"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "headers"), [("/nothing", {}), ("/nothing", {"Accept": "*/*"}), ("/api/nothing", BROWSES)]
)
def test_a_program_gets_a_problem_for_an_unknown_address(client: ApiClient, path: str, headers: dict[str, str]) -> None:
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/", "/workers", "/requests"])
def test_htmx_gets_a_fragment_but_the_whole_page_when_a_browser_goes_back(
    app: Flask, client: ApiClient, path: str
) -> None:
    viewer = visitor(app, client.tokens, "viewer")
    htmx = {"HX-Request": "true"}
    assert "<html" not in viewer.get(path, headers=htmx).text
    assert "<html" in viewer.get(path, headers={**htmx, "HX-History-Restore-Request": "true"}).text


@on_one_database
def test_the_zone_that_was_chosen_is_kept(browser_page: Page, chromium: Browser, site: LiveServer) -> None:
    sign_in(browser_page, "viewer")
    state = browser_page.context.storage_state()
    context = chromium.new_context(base_url=site.url, storage_state=state, timezone_id="Asia/Kolkata")
    page = context.new_page()
    page.goto("/activity")
    expect(page.locator("#zone")).to_have_text(re.compile("GMT|IST"))
    page.click("#zone")
    for path in ("/activity", "/workers"):
        expect(page.locator("#zone")).to_have_text("UTC")
        page.goto(path)
    context.close()


@on_one_database
def test_exact_times_without_a_pointer(browser_page: Page, site: LiveServer) -> None:
    with site.session() as http:
        assert http.post(f"{site.url}/api/batches", json={"name": "timed"}).ok
    sign_in(browser_page, "viewer")
    age, clock = re.compile("ago|now"), re.compile(r"\d:\d\d:\d\d")
    first = browser_page.locator("main time").first
    browser_page.goto("/activity")
    expect(first).to_have_text(age)
    browser_page.keyboard.press("t")
    for path in ("/activity", "/"):
        expect(first).to_have_text(clock)
        browser_page.goto(path)
    browser_page.locator("#me summary").press("Enter")
    browser_page.get_by_role("button", name="Exact times").press("Enter")
    expect(first).to_have_text(age)


@on_one_database
def test_the_pages_are_accessible(browser_page: Page, site: LiveServer, witness: Witness) -> None:
    hook = {"url": "https://example.com/hook", "types": ["batch.failed"], "format": "standard"}
    with site.session() as http:
        webhook_id = http.post(f"{site.url}/api/webhooks", json=hook).json()["id"]
    witness.expect(404, 401)
    browser_page.goto("/sign-in")
    assert_accessible_in_light_and_dark(browser_page)
    browser_page.get_by_label("Token").fill("nonsense")
    browser_page.get_by_role("button", name="Sign in").click()
    browser_page.get_by_role("alert").wait_for()
    assert_accessible_in_light_and_dark(browser_page)
    sign_in(browser_page, "admin")
    pages = ("/", "/activity", "/machine", "/workers", "/requests", "/tokens", "/webhooks", "/find?q=a", "/nothing")
    for path in (*pages, f"/webhooks/{webhook_id}"):
        browser_page.goto(path)
        assert_accessible_in_light_and_dark(browser_page)
    browser_page.goto("/tokens")
    browser_page.get_by_label("Name").fill("jane")
    browser_page.get_by_role("button", name="Make").click()
    browser_page.locator("#secret").wait_for()
    assert_accessible_in_light_and_dark(browser_page)
