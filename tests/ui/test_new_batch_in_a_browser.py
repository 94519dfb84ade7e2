"""A newcomer makes a batch in a real browser: from files, one of which fails and is tried again; from lines."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.ui.conftest import Witness, assert_accessible, assert_accessible_in_light_and_dark, on_one_database, sign_in

LINE = '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}\n'
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def form(browser_page: Page) -> Page:
    sign_in(browser_page, "operator")
    browser_page.goto("/batches/new")
    return browser_page


@pytest.fixture
def letters(tmp_path: Path) -> list[str]:
    paths = [tmp_path / name for name in ("one.txt", "two.txt", "twin.txt")]
    for path, text in zip(paths, ("The first letter.", "The second letter.", "The first letter."), strict=True):
        path.write_text(text)
    return [str(path) for path in paths]


def fill(form: Page) -> None:
    form.get_by_label("Name", exact=True).first.fill("letters")
    form.locator("#prompt_name_1").fill("sum")
    form.locator("#prompt_text_1").fill("Sum up: {document}")
    form.locator("#model_connection_1").fill("local")
    form.locator("#model_model_1").fill("textstats")


def batch_of(form: Page) -> int:
    return int(re.search(r"/batches/(\d+)", form.url)[1])  # type: ignore[index]


def fits(page: Page) -> bool:
    found: bool = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    return found


def test_from_files_to_a_batch_with_one_that_is_tried_again(form: Page, site: Any, letters: list[str]) -> None:
    fill(form)
    form.get_by_role("button", name="Add a prompt").click()
    expect(form.locator("#prompt_name_2")).to_be_focused()
    form.locator("#prompt_name_2").fill("who")
    form.locator("#prompt_text_2").fill("Who writes?")
    form.locator("#files").set_input_files(letters)
    expect(form.locator("#look")).to_contain_text("3 documents × 2 prompts × 1 model = 6 tasks")
    expect(form.locator("#look")).to_contain_text("Sum up: The first letter.")
    assert_accessible(form)
    lost: list[str] = []

    def lose_once(route: Route) -> None:
        if "two.txt" in route.request.url and not lost:
            lost.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    form.route("**/files?name=*", lose_once)
    form.get_by_role("button", name="Create the batch").click()
    expect(form.locator("#uploads-sum")).to_contain_text("2 of 3 files are there. 1 failed")
    expect(form.locator("#uploads-list")).to_contain_text("Left out: one.txt has the same content.")
    expect(form.locator("#uploads-list")).to_contain_text("The service could not be reached.")
    form.emulate_media(color_scheme="dark")
    assert_accessible(form)
    form.get_by_role("button", name="Try again: two.txt").click()
    expect(form.locator("#uploads-sum")).to_have_text("3 of 3 files are there.")
    expect(form.get_by_role("link", name="Go to the batch")).to_have_attribute("href", f"/batches/{batch_of(form)}")
    form.reload()
    expect(form.locator("tbody")).to_contain_text("two.txt")
    assert_accessible(form)
    form.locator("#files").set_input_files(letters[:2])
    form.get_by_role("button", name="Send the files").click()
    expect(form.locator("#uploads-list li")).to_have_text([re.compile("The batch has it already.")] * 2)


@on_one_database
def test_with_the_keyboard_alone_and_on_a_phone(form: Page, witness: Witness) -> None:
    witness.expect(422)
    form.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert fits(form)
    form.locator("#name").focus()
    form.keyboard.type("typed")
    form.locator("#prompt_name_1").focus()
    form.keyboard.type("p")
    form.keyboard.press("Tab")
    form.keyboard.type("say")
    form.locator("[data-add=prompt]").focus()
    form.keyboard.press("Enter")
    form.keyboard.type("second")
    form.locator("#prompts fieldset:nth-child(2) [data-remove]").focus()
    form.keyboard.press("Enter")
    expect(form.locator("#prompts fieldset")).to_have_count(1)
    form.locator("#model_connection_1").focus()
    form.keyboard.type("local")
    form.keyboard.press("Enter")
    expect(form.locator("#problem")).to_be_focused()
    expect(form.locator("#model_model_1-error")).to_have_text("The model of model 1 has to be 1 to 200 characters.")
    assert_accessible(form)
    assert fits(form)


@on_one_database
def test_dropped_files_are_picked(form: Page) -> None:
    dropped = form.evaluate_handle(
        "() => { const d = new DataTransfer(); d.items.add(new File(['dropped'], 'd.txt', {type: 'text/plain'}));"
        " return d; }"
    )
    form.dispatch_event("main", "drop", {"dataTransfer": dropped})
    expect(form.locator("#files-picked")).to_have_text("1 file picked.")


def test_a_bad_line_is_named_and_a_good_file_becomes_a_batch(form: Page, tmp_path: Path, witness: Witness) -> None:
    witness.expect(422)
    form.get_by_label("ready-made tasks").check()
    expect(form.locator("#prompt_text_1")).to_be_hidden()
    form.locator("#name").fill("ready")
    lines = tmp_path / "lines.jsonl"
    lines.write_text(LINE + "{}\n")
    form.locator("#lines").set_input_files(str(lines))
    form.get_by_role("button", name="Create the batch").click()
    expect(form.locator("#lines-bad li")).to_have_text(["line 2: custom_id is missing or of a wrong type"])
    assert_accessible(form)
    lines.write_text(LINE)
    form.locator("#lines").set_input_files(str(lines))
    form.get_by_role("button", name="Create the batch").click()
    form.wait_for_url(re.compile(r"/batches/\d+$"))


@pytest.mark.usefixtures("own_site")
@on_one_database
def test_workers_and_requests_are_accessible(browser_page: Page, site: Any) -> None:
    sign_in(browser_page, "viewer")
    browser_page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for address, words in (("/workers", "No worker was seen"), ("/requests", "No request waits.")):
        browser_page.goto(address)
        expect(browser_page.locator("main")).to_contain_text(words)
        assert_accessible_in_light_and_dark(browser_page)
        assert fits(browser_page)


@on_one_database
def test_a_tick_adds_a_known_model_and_takes_it_away(form: Page, site: Any) -> None:
    models = [{"connection": "bench", "model": each} for each in ("swan", "crane")]
    body = {"name": "b", "prompts": [{"name": "p", "text": "{document}"}], "models": models}
    with site.session() as http:
        assert http.post(f"{site.url}/api/batches", json=body).ok
    form.goto("/batches/new")
    parts = form.locator("#models [data-part]")
    swan, crane = (form.get_by_label(f"bench/{each}", exact=True) for each in ("swan", "crane"))
    swan.check()
    crane.check()
    expect(parts).to_have_count(2)
    expect(parts.nth(1).get_by_label("Model", exact=True)).to_have_value("crane")
    swan.uncheck()
    expect(parts).to_have_count(1)
    expect(parts.first.get_by_label("Model", exact=True)).to_have_value("crane")
    parts.first.get_by_label("Model", exact=True).fill("stork")
    expect(crane).not_to_be_checked()
    assert_accessible(form)
