"""The sentence at the top of a batch's page: what, since when, by whom, why, what is left, and one button."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.services import Services
from app.services.input import edits
from app.services.reads.batch_page import Present
from tests.services import stories
from tests.ui.visits import one, read, words

PAID = {"text": "yes", "usage": {"input_tokens": 100, "output_tokens": 10, "cost": 0.25}}


def sentence(page: Any) -> str:
    return words(one(page, "//div[contains(@class, 'why')][@role='status']/p"))


def button(page: Any) -> str | None:
    found = page.xpath("//div[contains(@class, 'why')]//*[self::button or contains(@class, 'button')]")
    return words(found[0]) if found else None


def figures(page: Any) -> list[str]:
    return [words(each) for each in page.xpath("//section[@aria-label='Figures']/a")]


@pytest.mark.parametrize(
    ("state", "said", "offered"),
    [
        ("SAVED", "Saved: 2 documents × 1 prompt × 1 model = 2 calls.", "Stage …"),
        ("STAGING", "Reading documents: 0 of 2; no worker holds one.", None),
        ("STAGED", "Ready since now: 2 calls.", "Run …"),
        ("ANALYZING", "Nothing goes on: local/m0: no present worker can do it. 2 tasks are left.", "Workers"),
        ("PAUSED", "Paused by an operator now. 2 tasks are left.", "Resume …"),
        ("COMPLETED", "Completed now: 2 of 2 answered, cost 0.00", "See the results"),
        ("FAILED", "Cancelled by an operator now. 0 of 2 were answered.", "Run again …"),
    ],
)
def test_of_each_state(operator: FlaskClient, service: Services, state: str, said: str, offered: str | None) -> None:
    page = read(operator, f"/batches/{stories.bring(service, state)}")
    plainly = sentence(page)
    for seconds in range(60):
        plainly = plainly.replace(f"{seconds} s ago", "now")
    assert plainly.startswith(said)
    assert button(page) == offered


def test_a_batch_at_work(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=3)
    stories.complete(service, stories.lease(service, batch_id, most=2)[0])
    page = read(operator, f"/batches/{batch_id}")
    assert sentence(page).startswith("Running since ")
    assert sentence(page).endswith(", run by an operator. 2 tasks are left.")
    assert button(page) is None


def test_slow_calls_are_told_from_a_batch_that_is_stuck(
    operator: FlaskClient, service: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is answered for long, but the worker that holds the tasks sends heartbeats."""
    monkeypatch.setattr(Present, "still_seconds", 240.0)
    batch_id = stories.bring(service, "ANALYZING", documents=3)
    stories.lease(service, batch_id, most=2)
    service.sightings.write()
    said = sentence(read(operator, f"/batches/{batch_id}"))
    assert said.startswith("Slow: nothing was answered for 4 min; w holds 2 tasks and was heard ")
    monkeypatch.setattr(Present, "still_seconds", 900.0)
    assert sentence(read(operator, f"/batches/{batch_id}")).startswith("Nothing was answered for 15 min")
    monkeypatch.setattr(Present, "still_seconds", 240.0)
    stories.forget_workers(service)
    assert sentence(read(operator, f"/batches/{batch_id}")).startswith("Nothing was answered for 4 min")


def test_a_limit_that_was_reached_is_marked_in_the_input(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=3, max_cost=0.5, max_failed_tasks=2)
    limits = "//section[@aria-labelledby='limits-title']//dd[b]"
    assert read(operator, f"/batches/{batch_id}/input").xpath(limits) == []
    for task in stories.lease(service, batch_id, most=2):
        stories.complete(service, task, PAID)
    assert words(one(read(operator, f"/batches/{batch_id}/input"), limits)) == "0.5 reached"


def test_a_reason_and_a_viewer(viewer: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    stories.act(service, batch_id, "pause", reason="the <model> is down")
    page = read(viewer, f"/batches/{batch_id}")
    assert ": the <model> is down. 2 tasks are left." in sentence(page)
    assert button(page) is None, "a viewer has nothing to click that would be refused"


def test_the_cost_limit_with_what_was_in_flight_and_a_limit_that_would_do(
    operator: FlaskClient, service: Services
) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=8, max_cost=0.5)
    for task in stories.lease(service, batch_id, most=4):
        stories.complete(service, task, PAID)
    page = read(operator, f"/batches/{batch_id}")
    assert "Paused by its cost limit" in sentence(page)
    said = "the run has cost 1.00, its limit was 0.50 (0.50 was in flight). 4 tasks are left, about 1.00 more."
    assert sentence(page).endswith(said)
    assert button(page) == "Raise the limit to 2.20 and resume …"
    address = page.xpath("//button[@id='why-act']/@formaction")[0]
    dialog = read(operator, f"{address}&version={service.reads.batches.show(batch_id)['version']}")
    assert one(dialog, "//input[@name='max_cost']").get("value") == "2.2"
    assert "pause again" not in words(one(dialog, "//*[@id='effect']"))
    assert figures(page) == [
        "50 %4 of 8 done",
        "1.00cost so far, limit 0.50",
        "≈ 2.00cost at the end, 0.25 a call",
        figures(page)[3],
        "0failed",
    ]


def test_failures_and_their_limit(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=3)
    first, *others = stories.lease(service, batch_id)
    stories.complete(service, first, PAID)
    for task in others:
        stories.fail(service, task, retryable=False)
    page = read(operator, f"/batches/{batch_id}")
    assert sentence(page).startswith("1 of 3 answered, 2 failed, all for one cause. Completed")
    assert button(page) == "See the failures"
    assert figures(page)[4] == "2failed, 66.7 % · 1 cause"
    limited = stories.bring(service, "ANALYZING", documents=3, max_failed_tasks=0)
    stories.fail(service, stories.lease(service, limited)[0], retryable=False)
    page = read(operator, f"/batches/{limited}")
    assert sentence(page).endswith("1 tasks failed; the limit is 0.")
    assert button(page) == "See the failures"


def test_names_that_look_like_others_are_shown_as_they_are(operator: FlaskClient, service: Services) -> None:
    """U+202E turns the direction of writing: the name would show as "invoiceexe.txt"."""
    batch_id = stories.create(service)
    name = "invoice\N{RIGHT-TO-LEFT OVERRIDE}txt.exe"
    edits.add_documents(service.batches, batch_id, [stories.document(name, "new")], stories.OPERATOR)
    edits.rename(service.batches, batch_id, {"name": name}, stories.OPERATOR)
    for path in ("", "/input", "/files", "/tasks"):
        text = operator.get(f"/batches/{batch_id}{path}").get_data(as_text=True)
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text, path
        assert "<bdi>invoice[U+202E]txt.exe</bdi>" in text, path
    assert "<bdi>invoice[U+202E]txt.exe</bdi>" in operator.get("/").get_data(as_text=True)
