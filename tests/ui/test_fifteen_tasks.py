"""The fifteen most frequent tasks of an operator, in Chromium, with their clicks: the table in docs/pages.md."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.support.server import LiveServer
from tests.ui.conftest import on_one_database, sign_in

DOCUMENT = Path(__file__).parents[2] / "docs" / "pages.md"
BUSY = {"code": "server_error", "message": "local answers 503: the engine is overloaded"}
MODELS = [{"connection": "local", "model": "one"}, {"connection": "local", "model": "other"}]


def documented() -> dict[str, int]:
    rows = re.findall(r"^\| (.+?) \| .* \| (\d) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {task: int(clicks) for task, clicks in rows}


class Operator:
    """Somebody at a browser whose clicks are counted, and the service that is worked on."""

    def __init__(self, page: Page, url: str, http: requests.Session) -> None:
        self.page = page
        self._api, self._http = f"{url}/api", http
        self.clicks = 0

    def click(self, target: Locator | str) -> None:
        self.clicks += 1
        (self.page.locator(target) if isinstance(target, str) else target).click()

    def call(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._http.post(f"{self._api}{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()

    def act(self, batch: int, action: str, **context: Any) -> None:
        self.call(f"/batches/{batch}/action", {"action": action, "context": context})

    def work(self, batch: int, answer: Callable[[dict[str, Any]], dict[str, Any]], most: int = 1000) -> None:
        asked = {"worker": "w", "max_tasks": most, "batch_id": batch}
        tasks = self.call("/tasks/lease", asked)["tasks"]
        reports = [
            {"task_id": task["id"], "lease_token": task["lease_token"], **answer(task["payload"])} for task in tasks
        ]
        self.call("/tasks/report", {"reports": reports})

    def running(self, name: str, **options: Any) -> int:
        """Make a batch of four documents for two models that is at work."""
        texts = [{"name": f"{name}-{n}.txt", "text": f"text {n} of {name}"} for n in range(4)]
        prompts = [{"name": "colour", "text": "What colour? {document}"}]
        body = {"name": name, "documents": texts, "prompts": prompts, "models": MODELS, "options": options}
        batch = int(self.call("/batches", body)["id"])
        self.act(batch, "stage", run_when_staged=True)
        self.work(batch, lambda _: {"outcome": "completed", "result": {"text": "a text"}})
        return batch


def answered(payload: dict[str, Any]) -> dict[str, Any]:
    """An answer in which the models differ."""
    text = "a red fox" if payload.get("model") == "other" else "a grey fox"
    return {"outcome": "completed", "result": {"text": text, "usage": {"input_tokens": 10, "cost": 0.5}}}


def failed(_: dict[str, Any]) -> dict[str, Any]:
    return {"outcome": "failed", "error": BUSY, "retryable": False}


@pytest.fixture
def operator(browser_page: Page, site: LiveServer) -> Iterator[Operator]:
    sign_in(browser_page, "operator")
    with site.session() as http:
        yield Operator(browser_page, site.url, http)


def section(page: Page, name: str) -> Locator:
    return page.locator(f"h2.section:has-text('{name}') + div")


def in_trouble(op: Operator) -> None:
    batch = op.running("trouble")
    op.act(batch, "pause")
    op.page.goto("/")
    expect(section(op.page, "Needs you").locator(f"#batch-{batch}")).to_be_visible()


def cost(op: Operator) -> None:
    batch = op.running("cost")
    op.work(batch, answered, most=4)
    op.page.goto(f"/batches/{batch}")
    figures = op.page.locator(".figures")
    expect(figures).to_contain_text("2.00")
    expect(figures).to_contain_text("≈ 4.00")


def results_of(op: Operator, name: str) -> int:
    batch = op.running(name)
    op.work(batch, answered)
    op.page.goto(f"/batches/{batch}/results")
    return batch


def compared(op: Operator) -> None:
    results_of(op, "compared")
    expect(op.page.locator("tbody tr").first.locator("ins")).to_have_text("red")


def whole_answer(op: Operator) -> None:
    results_of(op, "whole")
    op.click(op.page.locator(".cell").first)
    expect(op.page.locator("#drawer .rendered")).to_have_text("a grey fox")


def found(op: Operator) -> None:
    results_of(op, "found")
    op.click(op.page.get_by_label("Find a document"))
    op.page.keyboard.type("found-3")
    op.page.keyboard.press("Enter")
    expect(op.page.locator("tbody tr")).to_have_count(1)


def error(op: Operator) -> None:
    batch = op.running("error")
    op.work(batch, failed, most=1)
    op.page.goto(f"/batches/{batch}")
    op.click(op.page.get_by_role("link", name="the engine is overloaded"))
    expect(op.page.locator("main")).to_contain_text(BUSY["message"])


def stuck_worker(op: Operator) -> None:
    op.running("stuck")
    op.page.goto("/")
    op.click(op.page.get_by_role("link", name="Workers"))
    expect(op.page.locator("#workers tbody tr").first).to_be_visible()


def cancelled(op: Operator) -> None:
    op.act(op.running("cancelled"), "cancel", reason="GPU box needed")
    op.page.goto("/")
    op.click(op.page.get_by_role("link", name="Activity"))
    row = op.page.locator("tr", has_text="GPU box needed").first
    expect(row).to_contain_text("cancel")
    expect(row).to_contain_text("admin")


def asked_exactly(op: Operator) -> None:
    op.page.goto(f"/batches/{op.running('asked')}")
    op.click(op.page.get_by_role("link", name="Input"))
    expect(op.page.locator("main")).to_contain_text("What colour? {document}")


def paused(op: Operator) -> None:
    batch = op.running("paused")
    op.page.goto(f"/batches/{batch}")
    op.click("#act-pause")
    op.page.get_by_label("Reason").fill("lunch")
    op.click("#confirm")
    expect(op.page.locator("#now")).to_contain_text("lunch")


def one_cause(op: Operator) -> None:
    batch = op.running("cause")
    op.work(batch, failed, most=2)
    op.work(batch, answered)
    op.page.goto(f"/batches/{batch}")
    op.click(op.page.get_by_role("button", name="ask again 2"))
    op.click("#confirm")
    expect(op.page.locator("#answer")).to_contain_text("restage is done")


def raised(op: Operator) -> None:
    batch = op.running("raised", max_cost=1)
    op.work(batch, answered, most=2)
    op.page.goto(f"/batches/{batch}")
    op.click(op.page.get_by_role("button", name=re.compile("^Raise the limit to")))
    op.click("#confirm")
    expect(op.page.locator("#head .state")).to_have_text("ANALYZING")


def run_against_run(op: Operator) -> None:
    batch = results_of(op, "held")
    op.act(batch, "restage", run_when_staged=True, redo={"models": ["other"]})
    op.work(batch, lambda _: {"outcome": "completed", "result": {"text": "a text"}})
    op.work(batch, lambda _: {"outcome": "completed", "result": {"text": "a blue fox"}})
    op.page.goto(f"/batches/{batch}/results")
    op.click("summary:has-text('held against')")
    op.click(op.page.locator("details[open]").get_by_role("link", name="run 1"))
    expect(op.page.locator("tbody tr").first.locator("ins")).to_have_text("blue")


def downloaded(op: Operator) -> None:
    results_of(op, "downloaded")
    op.click("#downloads summary")
    with op.page.expect_download() as caught:
        op.click("#downloads >> text=CSV")
    assert caught.value.suggested_filename.endswith(".csv")


def changed_prompt(op: Operator) -> None:
    results_of(op, "changed")
    op.click("#more summary")
    op.click(op.page.get_by_role("link", name="Duplicate"))
    op.page.locator("#prompt_text_1").fill("Which colour? {document}")
    op.click(op.page.get_by_role("button", name="Create, stage and run"))
    expect(op.page.locator("#head h1")).to_have_text("changed (copy)")
    expect(op.page.locator("#head .state")).to_have_text("STAGING")


TASKS: dict[str, Callable[[Operator], None]] = {
    "Who is in trouble now?": in_trouble,
    "What did a run cost so far, and what will it cost?": cost,
    "Compare two models on one document": compared,
    "Read the whole answer to one document": whole_answer,
    "Find one of 5,000 documents": found,
    "Read one error": error,
    "Which worker is stuck?": stuck_worker,
    "Who cancelled last night?": cancelled,
    "What exactly was asked?": asked_exactly,
    "Pause a run, with a reason": paused,
    "Ask the tasks of one cause again": one_cause,
    "Raise a limit and go on": raised,
    "Hold run 2 against run 1": run_against_run,
    "Download the answers": downloaded,
    "Run again with a changed prompt": changed_prompt,
}


def test_the_page_names_these_tasks() -> None:
    assert list(documented()) == list(TASKS)


@on_one_database
@pytest.mark.parametrize("task", TASKS)
def test_a_task_and_its_clicks(operator: Operator, task: str) -> None:
    TASKS[task](operator)
    assert operator.clicks == documented()[task]
