"""A newcomer's whole way in a real browser, from the link that the service prints to the answers and the next run."""

import re
from contextlib import nullcontext
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Page, expect

from app.services import Services
from tests.services import stories
from tests.support.row_locks import HoldRow
from tests.support.server import LiveServer
from tests.ui.conftest import assert_accessible
from tests.ui.test_batches_in_a_browser import ask

pytestmark = pytest.mark.usefixtures("own_site")


@pytest.fixture
def holding(request: pytest.FixtureRequest, services: Services) -> HoldRow | None:
    """How to lock a batch's row from outside; None on SQLite, which has no row locks and so no line to wait in."""
    is_postgresql = services.engine.dialect.name == "postgresql"
    found: HoldRow | None = request.getfixturevalue("hold_row") if is_postgresql else None
    return found


def printed_link(site: LiveServer) -> str:
    """Read the link from what the service printed."""
    found = re.search(r"(http://\S+/sign-in\?code=\S+)", site.log.read_text())
    assert found, site.tail()
    return found[1]


def make_batch(page: Page, folder: Path) -> int:
    """Fill in the form with two files, two prompts' worth of work for one model; return the new batch."""
    paths = [folder / "a.txt", folder / "b.txt"]
    for path in paths:
        path.write_text(f"This is {path.name}.")
    page.get_by_role("link", name="New batch").first.click()
    page.get_by_label("Name", exact=True).first.fill("letters")
    page.locator("#prompt_name_1").fill("summary")
    page.locator("#prompt_text_1").fill("Sum up: {document}")
    page.locator("#model_connection_1").fill("local")
    page.locator("#model_model_1").fill("textstats")
    page.locator("#files").set_input_files([str(path) for path in paths])
    expect(page.locator("#look")).to_contain_text("2 documents × 1 prompt × 1 model = 2 tasks")
    page.get_by_role("button", name="Create the batch").click()
    expect(page.locator("#uploads-sum")).to_have_text("2 of 2 files are there.")
    page.get_by_role("link", name="Go to the batch").click()
    expect(page).to_have_title(re.compile("^SAVED"))
    return int(page.url.rpartition("/")[2])


def test_from_the_link_to_the_next_run(
    browser_page: Page, site: LiveServer, services: Services, holding: HoldRow | None, tmp_path: Path
) -> None:
    page = browser_page
    page.goto(printed_link(site))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Batches")).to_be_visible()
    assert_accessible(page)

    batch_id = make_batch(page, tmp_path)
    ask(page, "stage", "all letters are there")
    expect(page).to_have_title(re.compile("^STAGING"))
    stories.finish_all(services, batch_id)
    expect(page).to_have_title(re.compile("^STAGED"))
    ask(page, "run")
    expect(page).to_have_title(re.compile("^ANALYZING 0 %"))
    with holding(batch_id) if holding else nullcontext():
        ask(page, "pause", "the model server is down")
        if holding:
            expect(page.locator("#answer")).to_contain_text("queued at position 1")
    expect(page).to_have_title(re.compile("^PAUSED"))
    assert stories.audit(services, batch_id)[-1]["reason"] == "the model server is down"
    ask(page, "resume")
    expect(page).to_have_title(re.compile("^ANALYZING"))
    stories.finish_all(services, batch_id)
    expect(page).to_have_title(re.compile("^COMPLETED 100 %"))

    page.get_by_role("link", name="Results").first.click()
    expect(page.locator("main")).to_contain_text("a.txt")
    page.locator("#downloads summary").click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="JSONL").click()
    lines = downloading.value.path().read_bytes().splitlines()
    assert [orjson.loads(line)["status"] for line in lines] == ["COMPLETED", "COMPLETED"]
    page.get_by_role("link", name="a.txt").click()
    expect(page.get_by_role("heading", name="a.txt")).to_be_visible()

    page.goto(f"/batches/{batch_id}")
    ask(page, "restage", "once more")
    expect(page).to_have_title(re.compile("^STAGING"))
    stories.finish_all(services, batch_id)
    expect(page.locator("#head")).to_contain_text("run 2")
    assert stories.audit(services, batch_id)[0]["actor"] == "admin"
