"""Tasks and results in a real browser: filters, pages, one task, the matrix, answers beside each other, downloads."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.server import LiveServer
from tests.ui.conftest import assert_accessible, assert_accessible_in_light_and_dark, on_one_database, sign_in

PROMPTS = [{"name": "colour", "text": "What colour? {document}"}, {"name": "size", "text": "What size? {document}"}]
MODELS = [{"connection": "local", "model": "one"}, {"connection": "local", "model": "other"}]
DOCUMENTS = 14  # so that there are more tasks than stand on a page


def worked(site: LiveServer) -> int:
    """Make a COMPLETED batch: the models answer alike but for the first document; one task failed."""
    with site.session() as http:
        named = [{"name": f"{n:02}.txt", "text": f"text {n}"} for n in range(DOCUMENTS)]
        body = {"name": "foxes", "documents": named, "prompts": PROMPTS, "models": MODELS}
        made = http.post(f"{site.url}/api/batches", json=body).json()
        batch = f"{site.url}/api/batches/{made['id']}"

        def lease() -> list[dict[str, Any]]:
            asked = {"worker": "w", "max_tasks": 1000, "batch_id": made["id"]}
            tasks: list[dict[str, Any]] = http.post(f"{site.url}/api/tasks/lease", json=asked).json()["tasks"]
            return tasks

        http.post(f"{batch}/action", json={"action": "stage"})
        reports = [{**_done(task), "result": {"text": f"a fox {task['id']}"}} for task in lease()]
        http.post(f"{site.url}/api/tasks/report", json={"reports": reports})
        http.post(f"{batch}/action", json={"action": "run"})
        first, *others = lease()
        error = {"code": "refused", "message": "The model refused."}
        failed = {**_done(first), "outcome": "failed", "error": error, "retryable": False}
        reports = [{**_done(task), "result": {"text": _answer(task["payload"])}} for task in others]
        http.post(f"{site.url}/api/tasks/report", json={"reports": [failed, *reports]})
        shown = http.get(batch).json()
        assert shown["state"] == "COMPLETED"
        return int(shown["id"])


def _done(task: dict[str, Any]) -> dict[str, Any]:
    return {"task_id": task["id"], "lease_token": task["lease_token"], "outcome": "completed"}


def _answer(payload: dict[str, Any]) -> str:
    return "a red fox" if (payload["model"], payload["document"]["name"]) == ("other", "01.txt") else "a grey fox"


def test_tasks_by_filter_and_page(browser_page: Page, site: LiveServer) -> None:
    batch_id = worked(site)
    sign_in(browser_page, "viewer")
    browser_page.goto(f"/batches/{batch_id}/tasks")
    rows = browser_page.locator("#tasks tbody tr")
    expect(rows).to_have_count(50)
    browser_page.click("text=Next page")
    expect(rows).to_have_count(DOCUMENTS * 4 - 50)
    browser_page.click("#counts >> text=failed")
    expect(rows).to_have_count(1)
    browser_page.click("text=refused")
    expect(rows).to_have_count(1)
    browser_page.select_option("select[name=kind]", "STAGE")
    browser_page.fill("input[name=code]", "")
    browser_page.select_option("select[name=status]", "")
    browser_page.click("button:has-text('Filter')")
    expect(rows).to_have_count(DOCUMENTS)
    browser_page.locator("#tasks tbody a").first.click()
    expect(browser_page.locator("#main h2").first).to_contain_text("Task ")


def test_results_columns_compare_and_downloads(browser_page: Page, site: LiveServer, tmp_path: Path) -> None:
    batch_id = worked(site)
    sign_in(browser_page, "viewer")
    browser_page.goto(f"/batches/{batch_id}/results")
    expect(browser_page.locator(".matrix thead th")).to_have_count(1 + len(PROMPTS) * len(MODELS))
    browser_page.click("summary:has-text('Columns')")
    for column in browser_page.locator("input[name=column]").all()[1:]:
        column.uncheck()
    browser_page.click("button:has-text('Show')")
    expect(browser_page.locator(".matrix thead th")).to_have_count(2)
    browser_page.click("text=01.txt")
    expect(browser_page.locator("article ins")).to_have_text("red")
    expect(browser_page.locator("article del")).to_have_text("grey")
    browser_page.goto(f"/batches/{batch_id}/results")
    browser_page.click("#downloads summary")
    for words, lines in (("JSONL", DOCUMENTS * 4), ("CSV", DOCUMENTS * 4 + 1)):
        with browser_page.expect_download() as caught:
            browser_page.click(f"#downloads >> text={words}")
        saved = tmp_path / words
        caught.value.save_as(saved)
        assert len(saved.read_bytes().splitlines()) == lines


@on_one_database
def test_an_answer_beside_the_matrix_by_keyboard(browser_page: Page, site: LiveServer) -> None:
    batch_id = worked(site)
    sign_in(browser_page, "viewer")
    browser_page.goto(f"/batches/{batch_id}/results")
    drawer = browser_page.locator("#drawer")
    expect(drawer).to_be_hidden()
    cell = browser_page.locator("tbody tr").nth(1).locator(".cell").nth(1)
    cell.focus()
    browser_page.keyboard.press("Enter")
    expect(drawer).to_be_focused()
    expect(drawer.locator("h2")).to_have_text("01.txt")
    expect(drawer.locator("ins")).to_have_text("red")
    browser_page.keyboard.press("ArrowDown")
    expect(drawer.locator("h2")).to_have_text("02.txt")
    browser_page.keyboard.press("ArrowUp")
    expect(drawer.locator("h2")).to_have_text("01.txt")
    assert_accessible(browser_page)
    drawer.get_by_role("link", name="Sent").click()
    expect(drawer.locator("pre.whole")).to_contain_text("What colour?")
    browser_page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(cell).to_be_focused()


@on_one_database
def test_the_pages_are_accessible_and_fit_a_phone(browser_page: Page, site: LiveServer) -> None:
    batch_id = worked(site)
    sign_in(browser_page, "viewer")
    with site.session() as http:
        task = http.get(f"{site.url}/api/batches/{batch_id}/tasks?limit=200").json()["tasks"][-1]
    paths = (
        "tasks",
        "tasks?status=FAILED",
        f"tasks/{task['id']}",
        "results",
        "results/sums",
        f"results/{task['document']['id']}",
    )
    for path in paths:
        browser_page.goto(f"/batches/{batch_id}/{path}")
        assert_accessible_in_light_and_dark(browser_page)
        browser_page.set_viewport_size({"width": 360, "height": 800})
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser_page.evaluate(wider) <= 0, path
        browser_page.set_viewport_size({"width": 1200, "height": 800})
