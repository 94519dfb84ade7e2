"""The page of a large batch, opened by a browser that has nothing of it yet: few requests, few bytes."""

from typing import Any

from playwright.sync_api import Browser, Page

from tests.support.server import LiveServer
from tests.ui.conftest import on_one_database, sign_in

DOCUMENTS, PROMPTS, MODELS = 500, 5, 2
MOST_BYTES, MOST_REQUESTS = 120_000, 20
BUSY = {"code": "server_error", "message": "local answers 503"}


def running(site: LiveServer) -> int:
    """Make a batch of 5,000 tasks that is at work, some of them answered and some failed."""
    with site.session() as http:

        def call(path: str, body: dict[str, Any]) -> Any:
            answer = http.post(f"{site.url}/api{path}", json=body)
            assert answer.ok, answer.text
            return answer.json()

        def work(most: int) -> None:
            tasks = call("/tasks/lease", {"worker": "w", "max_tasks": most, "batch_id": batch})["tasks"]
            reports = [
                {"task_id": task["id"], "lease_token": task["lease_token"], **outcome(number)}
                for number, task in enumerate(tasks)
            ]
            call("/tasks/report", {"reports": reports})

        def outcome(number: int) -> dict[str, Any]:
            if number % 50 == 49:
                return {"outcome": "failed", "error": BUSY, "retryable": False}
            return {"outcome": "completed", "result": {"text": "an answer", "usage": {"cost": 0.01}}}

        documents = [{"name": f"letter-{n}.txt", "text": f"letter {n}"} for n in range(DOCUMENTS)]
        prompts = [{"name": f"p{n}", "text": "What? {document}"} for n in range(PROMPTS)]
        models = [{"connection": "local", "model": f"m{n}"} for n in range(MODELS)]
        options = {"on_unreadable": "skip"}
        made = {"documents": documents, "prompts": prompts, "models": models, "options": options}
        batch: int = call("/batches", {"name": "letters", **made})["id"]
        call(f"/batches/{batch}/action", {"action": "stage", "context": {"run_when_staged": True}})
        while http.get(f"{site.url}/api/batches/{batch}").json()["state"] == "STAGING":
            tasks = call("/tasks/lease", {"worker": "w", "max_tasks": 1000, "batch_id": batch})["tasks"]
            text = {"outcome": "completed", "result": {"text": "a text"}}
            call(
                "/tasks/report",
                {"reports": [{"task_id": t["id"], "lease_token": t["lease_token"], **text} for t in tasks]},
            )
        work(500)
        shown = http.get(f"{site.url}/api/batches/{batch}").json()
        assert shown["progress"]["analysis"]["total"] == DOCUMENTS * PROMPTS * MODELS
    return batch


@on_one_database
def test_a_large_batch_is_a_light_page(browser_page: Page, chromium: Browser, site: LiveServer) -> None:
    batch = running(site)
    sign_in(browser_page, "operator")
    cold = chromium.new_context(base_url=site.url, storage_state=browser_page.context.storage_state())
    page = cold.new_page()
    seen = cold.new_cdp_session(page)
    asked: set[str] = set()
    received: list[float] = []
    seen.on("Network.requestWillBeSent", lambda event: asked.add(event["request"]["url"]))
    seen.on("Network.dataReceived", lambda event: received.append(event["encodedDataLength"]))
    seen.on("Network.responseReceivedExtraInfo", lambda event: received.append(len(event.get("headersText", ""))))
    seen.send("Network.enable")
    page.goto(f"/batches/{batch}", wait_until="load")
    page.locator("#connection:not([hidden])").wait_for()  # the stream is open: the page has all that it asks for
    page.locator("time").first.wait_for()
    asked_of_site = {url for url in asked if url.startswith(site.url)}
    assert 1 < len(asked_of_site) <= MOST_REQUESTS, asked_of_site
    assert 10_000 < sum(received) <= MOST_BYTES, sum(received)
    cold.close()
