"""The search in the bar of every page: what is found is shown while somebody types, and is reached by keys alone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import LiveServer
from tests.ui.conftest import assert_accessible, on_one_database, sign_in


def made(site: LiveServer, name: str) -> int:
    body: dict[str, Any] = {
        "name": name,
        "documents": [{"name": f"{name}-{n}.txt", "text": f"text {n} of {name}"} for n in range(3)],
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": "local", "model": "m"}],
    }
    with site.session() as http:
        return int(http.post(f"{site.url}/api/batches", json=body).json()["id"])


@on_one_database
@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_found_is_shown_while_somebody_types(browser_page: Page, site: LiveServer, width: int) -> None:
    name = f"heron{width}"
    batch_id = made(site, name)
    sign_in(browser_page, "viewer")
    browser_page.set_viewport_size({"width": width, "height": 900})
    browser_page.goto("/workers")
    browser_page.keyboard.press("/")
    found = browser_page.locator("#found")
    expect(found).to_be_hidden()
    browser_page.keyboard.type(name.upper())
    expect(found.locator("li")).to_have_count(4)
    assert_accessible(browser_page)
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
    box = found.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    browser_page.keyboard.press("ArrowDown")
    expect(found.get_by_role("link", name=name, exact=True)).to_be_focused()
    browser_page.keyboard.press("ArrowDown")
    browser_page.keyboard.press("Enter")
    browser_page.wait_for_url(re.compile(rf"/batches/{batch_id}/results\?find={name}-0\.txt"))
    browser_page.keyboard.press("/")
    browser_page.keyboard.type("no such thing")
    expect(found).to_contain_text("Nothing has this number")
    browser_page.keyboard.press("Escape")
    expect(found).to_be_hidden()


@on_one_database
def test_enter_shows_a_page_of_what_is_found(browser_page: Page, site: LiveServer) -> None:
    batch_id = made(site, "egret")
    sign_in(browser_page, "viewer")
    browser_page.goto("/")
    browser_page.locator(".find input").fill("egret-1")
    browser_page.keyboard.press("Enter")
    browser_page.locator("main").get_by_role("link", name="egret-1.txt").click()
    browser_page.wait_for_url(re.compile(rf"/batches/{batch_id}/results"))
