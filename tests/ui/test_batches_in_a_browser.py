"""The list and the page of a batch in a real browser: live, by keyboard, stale, accessible in light and dark."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.services import Services
from tests.services import stories
from tests.support.row_locks import HoldRow
from tests.support.server import LiveServer
from tests.ui.conftest import assert_accessible, assert_accessible_in_light_and_dark, on_one_database, sign_in


@pytest.fixture
def operator(site: LiveServer, browser_page: Page) -> Page:
    """A page of a visitor with the role operator."""
    sign_in(browser_page, "operator")
    return browser_page


def another(page: Page, site: LiveServer, role: str) -> Page:
    """Open a second browser with a visitor of its own."""
    browser = page.context.browser
    assert browser is not None
    opened = browser.new_context(base_url=site.url).new_page()
    sign_in(opened, role)
    return opened


def ask(page: Page, action: str, reason: str = "") -> None:
    """Click an action, say why, and confirm."""
    page.locator(f"#act-{action}").click()
    dialog = page.locator("#dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Reason").fill(reason)
    dialog.locator("#confirm").click()


def test_an_action_with_a_reason(operator: Page, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    operator.goto(f"/batches/{batch_id}")
    ask(operator, "pause", "the model is down")
    expect(operator.locator("#answer")).to_contain_text("pause is done")
    expect(operator.locator("#dialog")).to_be_hidden()
    expect(operator.locator("#head")).to_have_attribute("data-version", "5")
    expect(operator.locator("#answer .notice")).to_be_focused()
    expect(operator).to_have_title(re.compile("^PAUSED 0 %"))
    assert stories.audit(services, batch_id)[-1]["reason"] == "the model is down"


def test_two_browsers_and_one_stale_click(operator: Page, site: LiveServer, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    other = another(operator, site, "operator")
    other.goto(f"/batches/{batch_id}")
    other.locator("#act-cancel").click()  # its dialog shows version 4, and stays open while the other one acts
    expect(other.locator("#dialog")).to_be_visible()
    operator.goto(f"/batches/{batch_id}")
    ask(operator, "pause", "I was faster")
    expect(operator.locator("#answer")).to_contain_text("pause is done")
    other.locator("#dialog #confirm").click()
    told = other.locator("#answer")
    expect(told).to_contain_text("cancel was not applied")
    expect(told).to_contain_text("I was faster")
    assert stories.state_of(services, batch_id) == "PAUSED"
    other.context.close()


def test_a_notice_goes_when_the_batch_has_a_newer_version(operator: Page, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    operator.goto(f"/batches/{batch_id}")
    ask(operator, "pause")
    expect(operator.locator("#answer")).to_contain_text("pause is done")
    stories.act(services, batch_id, "resume")
    expect(operator).to_have_title(re.compile("^ANALYZING"))
    expect(operator.locator("#answer .notice")).to_have_count(0)
    expect(operator.locator("[role=tooltip]")).to_have_count(0)


@on_one_database
def test_an_impossible_action_says_why_to_the_keyboard(operator: Page, services: Services) -> None:
    batch_id = stories.bring(services, "STAGED")
    operator.goto(f"/batches/{batch_id}")
    why = operator.locator("#why-pause")
    expect(why).to_be_hidden()
    operator.locator("#act-run").focus()
    operator.keyboard.press("Tab")
    expect(operator.locator("#more summary")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(why).to_be_visible()
    expect(why).to_contain_text("pause needs a batch that is")
    operator.locator("#act-pause").focus()
    operator.keyboard.press("Enter")
    expect(operator.locator("#dialog")).to_be_hidden()
    assert stories.state_of(services, batch_id) == "STAGED"
    operator.keyboard.press("Escape")
    expect(why).to_be_hidden()
    expect(operator.locator("#more summary")).to_be_focused()


@on_one_database
def test_a_dialog_by_keyboard_alone(operator: Page, services: Services) -> None:
    batch_id = stories.bring(services, "STAGED")
    operator.goto(f"/batches/{batch_id}")
    operator.locator("#act-run").focus()
    operator.keyboard.press("Enter")
    expect(operator.get_by_label("Reason")).to_be_focused()
    operator.keyboard.press("Escape")
    expect(operator.locator("#dialog")).to_be_hidden()
    expect(operator.locator("#act-run")).to_be_focused()
    assert stories.state_of(services, batch_id) == "STAGED"
    operator.keyboard.press("Enter")
    expect(operator.get_by_label("Reason")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(operator.locator("#answer")).to_contain_text("run is done")


def test_the_page_changes_without_being_loaded_anew(operator: Page, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    operator.goto(f"/batches/{batch_id}")
    expect(operator).to_have_title(re.compile("^ANALYZING 0 %"))
    operator.evaluate("window.sameDocument = true")
    stories.finish_all(services, batch_id)
    expect(operator).to_have_title(re.compile("^COMPLETED 100 %"))
    expect(operator.locator(".timeline tr").first).to_contain_text("tasks_finished")
    expect(operator.locator("#head .state")).to_have_text("COMPLETED")
    assert operator.evaluate("window.sameDocument")


@on_one_database
def test_a_button_stays_the_same_while_it_is_pressed_and_the_page_is_refreshed(
    operator: Page, services: Services
) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    operator.goto(f"/batches/{batch_id}")
    operator.locator("#act-cancel").hover()
    operator.mouse.down()
    stories.complete(services, stories.lease_one(services, batch_id))
    expect(operator.get_by_role("link", name="1 completed")).to_have_count(1)
    operator.mouse.up()
    expect(operator.locator("#dialog")).to_be_visible()


@on_one_database
def test_a_box_ticked_while_the_list_is_refreshed_stays_ticked(operator: Page, services: Services) -> None:
    batch_id, chosen = stories.create(services), stories.create(services)
    operator.goto("/")
    operator.get_by_label(f"Choose batch {chosen}").hover()
    operator.mouse.down()
    stories.act(services, batch_id, "stage")
    expect(operator.locator(f"#batch-{batch_id}")).to_contain_text("STAGING")
    operator.mouse.up()
    expect(operator.get_by_label(f"Choose batch {chosen}")).to_be_checked()
    operator.get_by_role("button", name="changed: show").click()
    expect(operator.locator(f"h2:has-text('Running') + div #batch-{batch_id}")).to_be_visible()
    expect(operator.get_by_label(f"Choose batch {chosen}")).to_be_checked()


def test_a_click_before_the_scripts_ran_is_not_lost(operator: Page, site: LiveServer, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    browser = operator.context.browser
    assert browser is not None
    page = browser.new_context(base_url=site.url, java_script_enabled=False).new_page()
    sign_in(page, "operator")
    page.goto(f"/batches/{batch_id}")
    ask(page, "pause", "no script yet")
    expect(page.locator("#answer")).to_contain_text("pause is done")
    expect(page.locator("#dialog")).to_be_hidden()
    assert stories.audit(services, batch_id)[-1]["reason"] == "no script yet"
    page.context.close()


@on_one_database
def test_a_dialog_that_came_with_the_page_is_a_dialog_like_any_other(operator: Page, services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    operator.goto(f"/batches/{batch_id}/act/pause?version=4")
    expect(operator.get_by_label("Reason")).to_be_focused()
    assert operator.url.endswith(f"/batches/{batch_id}")
    assert_accessible(operator)
    operator.locator("#dialog [data-closes]").click()
    expect(operator.locator("#dialog")).to_be_hidden()
    ask(operator, "pause")
    expect(operator.locator("#answer")).to_contain_text("pause is done")


def test_the_list_changes_and_keeps_what_was_chosen(operator: Page, services: Services) -> None:
    batch_id, chosen = stories.create(services), stories.create(services)
    operator.goto("/")
    box = operator.get_by_label(f"Choose batch {chosen}")
    box.check()
    stories.act(services, batch_id, "stage")
    expect(operator.locator(f"#batch-{batch_id}")).to_contain_text("STAGING")
    expect(box).to_be_checked()
    operator.get_by_role("button", name="stage …", exact=True).click()
    expect(operator.locator("#bulk-dialog tbody tr")).to_have_count(1)
    operator.get_by_label("Reason").fill("all at once")
    operator.get_by_role("button", name="stage the chosen batches").click()
    expect(operator.locator("tbody")).to_contain_text("done")
    assert stories.audit(services, chosen)[-1]["reason"] == "all at once"


@on_one_database
def test_a_list_by_keys_alone(operator: Page, services: Services) -> None:
    first, second = stories.create(services), stories.create(services)
    operator.goto(f"/?name={second}")
    operator.keyboard.press("j")
    expect(operator.locator(f"#batch-{second} a")).to_be_focused()
    operator.keyboard.press("x")
    expect(operator.get_by_label(f"Choose batch {second}")).to_be_checked()
    expect(operator.get_by_role("button", name="stage …", exact=True)).to_be_visible()
    expect(operator.get_by_role("button", name="pause …", exact=True)).to_be_hidden()
    operator.keyboard.press("g")
    operator.keyboard.press("a")
    operator.wait_for_url("**/activity")
    expect(operator.locator("#activity")).to_contain_text(f"#{first}")


TARGETS = """() => [...document.querySelectorAll("a, button, summary, input, select")].filter((each) => {
  const box = each.getBoundingClientRect(), inText = each.closest("p, td, th, li, dd, label") && each.localName === "a";
  return box.width && !inText && each.type !== "hidden" && box.right > 0 && Math.min(box.width, box.height) < 24
    && !each.closest("label");
}).map((each) => each.outerHTML.slice(0, 120))"""
OVERVIEW = [
    ".why", ".figures", ".links", "[aria-labelledby=failed-title]", "[aria-labelledby=usage-title]",
    "[aria-labelledby=workers-title]", "[aria-labelledby=changes-title]", ".steps",
]  # fmt: skip
BELOW_THE_FOLD = """(parts) => parts.filter((each) => {
  const box = document.querySelector(each)?.getBoundingClientRect();
  return !box?.width || box.bottom > innerHeight;
})"""
SIZES = """() => ["h1", "h2", "h3"].map((name) => {
  const each = document.querySelector("main").appendChild(document.createElement(name));
  const size = parseFloat(getComputedStyle(each).fontSize);
  each.remove();
  return size;
})"""


@on_one_database
def test_pages_of_batches_are_accessible_and_fit(operator: Page, services: Services) -> None:
    """On a screen, a small screen and a phone: nothing overflows, and nothing to click is small."""
    batch_id = stories.bring(services, "ANALYZING", documents=4)
    failed, done, *_ = stories.lease(services, batch_id, most=3)
    stories.fail(services, failed, retryable=False)
    stories.complete(services, done)
    tabs = ("", "/results", "/failures", "/tasks", f"/tasks/{failed['id']}", "/input", "/audit")
    for path in ("/", "/find?q=contr", "/activity", *(f"/batches/{batch_id}{tab}" for tab in tabs)):
        operator.goto(path)
        for width in (1440, 1100, 390):
            operator.set_viewport_size({"width": width, "height": 900})
            assert operator.evaluate("document.documentElement.scrollWidth") <= width, path
            assert operator.evaluate(TARGETS) == [], path
            h1, h2, h3 = operator.evaluate(SIZES)
            assert h1 > h2 >= h3
        assert_accessible_in_light_and_dark(operator)
    operator.set_viewport_size({"width": 390, "height": 844})
    operator.goto(f"/batches/{batch_id}")
    assert operator.evaluate(BELOW_THE_FOLD, [".why", ".figures"]) == []
    operator.set_viewport_size({"width": 1440, "height": 900})
    operator.goto(f"/batches/{batch_id}")
    assert operator.evaluate(BELOW_THE_FOLD, OVERVIEW) == []
    assert_accessible_in_light_and_dark(operator)
    operator.locator("#act-cancel").click()
    expect(operator.locator("#dialog")).to_be_visible()
    assert_accessible_in_light_and_dark(operator)
    operator.locator("#dialog [data-closes]").click()
    operator.locator("[data-opens=states]").click()
    expect(operator.locator("#states")).to_be_visible()
    assert_accessible_in_light_and_dark(operator)


@pytest.mark.usefixtures("own_site")
class TestLocked:
    """PostgreSQL alone: SQLite has no row locks, so there is nothing to wait behind."""

    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url

    def test_a_request_waits_in_line_until_the_batch_is_free(
        self, operator: Page, services: Services, hold_row: HoldRow
    ) -> None:
        batch_id = stories.bring(services, "ANALYZING")
        operator.goto(f"/batches/{batch_id}")
        with hold_row(batch_id):
            ask(operator, "pause", "while somebody else is at it")
            expect(operator.locator("#answer")).to_contain_text("queued at position 1")
            expect(operator.locator("#waiting-title")).to_contain_text("1 request in the queue")
            assert stories.state_of(services, batch_id) == "ANALYZING"
        expect(operator.locator("#answer")).to_contain_text("APPLIED, version 5")
        expect(operator.locator("#waiting-title")).to_be_hidden()
        expect(operator).to_have_title(re.compile("^PAUSED"))
