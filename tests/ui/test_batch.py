"""The page of one batch: what it shows, its buttons, its audit trail; and a number of statements that does not grow."""

import re
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain import transitions
from app.domain.leases import TaskStatus
from app.domain.transitions import ACTIONS, BatchState
from app.services import Services
from app.services.input import edits
from tests.services import stories
from tests.test_architecture import ROOT
from tests.ui.visits import FRAGMENT, counted, one, read, visitor, words


def buttons(page: Any) -> list[Any]:
    return list(page.xpath("//div[contains(@class, 'actions')]//button"))


@pytest.mark.parametrize("state", list(BatchState))
def test_the_buttons_are_those_of_the_table(operator: FlaskClient, service: Services, state: str) -> None:
    batch_id = stories.bring(service, state)
    page = read(operator, f"/batches/{batch_id}")
    assert [words(each) for each in buttons(page)] == list(ACTIONS)
    may = [words(each) for each in buttons(page) if each.get("aria-disabled") is None]
    assert may == service.reads.batches.show(batch_id)["allowed_actions"]
    for each in service.batches.actions(batch_id):
        button = one(page, f"//button[@id='act-{each['action']}']")
        assert button.get("disabled") is None, "a disabled button cannot be focused, and so not say why"
        why = words(one(page, f"//*[@id='{button.get('aria-describedby')}']"))
        assert why == (each["reason"] or transitions.BY_TRIGGER[each["action"]].meaning)
        assert (button.get("formaction") is None) == (not each["allowed"])


def test_a_guard_is_a_reason_too(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.create(service, documents=0)
    page = read(operator, f"/batches/{batch_id}")
    assert one(page, "//button[@id='act-stage']").get("aria-disabled") == "true"
    assert words(one(page, "//*[@id='why-stage']")) == "stage is not possible: the batch has no documents."


def test_a_viewer_sees_no_button(app: Flask, tokens: dict[str, str], service: Services) -> None:
    batch_id = stories.bring(service, "COMPLETED")
    viewer = visitor(app, tokens, "viewer")
    page = read(viewer, f"/batches/{batch_id}")
    assert page.xpath("//*[@hx-post or contains(@formaction, '/act/')] | //div[contains(@class, 'actions')]") == []
    assert viewer.get(f"/batches/{batch_id}/act/restage?version=5").status_code == 403


def test_the_title_tells_how_it_goes(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=3)
    stories.complete(service, stories.lease(service, batch_id, most=1)[0])
    title = "ANALYZING 33 % · contracts"
    assert words(one(read(operator, f"/batches/{batch_id}"), "//title")).startswith(title)
    fragment = operator.get(f"/batches/{batch_id}/now", headers=FRAGMENT).get_data(as_text=True)
    assert f"<title>{title}</title>" in fragment


def test_the_picture_marks_state_and_way(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "PAUSED")
    source = one(read(operator, f"/batches/{batch_id}"), "//img[contains(@src, 'picture')]/@src")
    picture = operator.get(source).get_data(as_text=True)
    assert '<g class="state hold current">' in picture
    assert len(re.findall(r'class="(?:action|event) visited"', picture)) == 4
    assert "version=5" in source


def test_an_edit_lights_no_way_in_the_picture(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.create(service)
    edits.add_documents(service.batches, batch_id, [stories.document("new.txt", "new")], stories.OPERATOR)
    picture = operator.get(f"/batches/{batch_id}/picture.svg").get_data(as_text=True)
    assert re.findall(r'class="(?:action|event) visited"', picture) == []


def test_failures_are_grouped_by_cause(operator: FlaskClient, service: Services) -> None:
    """A cause is connection, code, HTTP status and message: what differs from task to task aside."""
    batch_id = stories.bring(service, "ANALYZING", documents=6)
    errors = [
        *[{"code": "server_error", "message": f"local answers 503: overloaded, request {number}"} for number in (7, 8)],
        {"code": "server_error", "message": "local answers 502: bad gateway"},
        *[{"code": "timeout", "message": "no answer"}] * 2,
        {"code": "request_refused", "message": "local answers 400: 9000 tokens"},
    ]
    for task, error in zip(stories.lease(service, batch_id), errors, strict=True):
        stories.fail(service, task, retryable=False, error=error)
    page = read(operator, f"/batches/{batch_id}")
    table = one(page, "//section[@aria-labelledby='failed-title']//tbody")
    cells = [[words(cell) for cell in row.xpath("./td")] for row in table.xpath("./tr")]
    assert cells == [
        ["server_error 503", "2", "overloaded, request …", "local/m0 (2)", "ask again 2"],
        ["timeout", "2", "no answer", "local/m0 (2)", "ask again 2"],
        ["server_error 502", "1", "local answers 502: bad gateway", "local/m0 (1)", "ask again 1"],
        ["request_refused 400", "1", "local answers 400: 9000 tokens", "local/m0 (1)", "will fail again"],
    ]


def test_workers_on_it_now(operator: FlaskClient, service: Services) -> None:
    batch_id, other = (stories.bring(service, "ANALYZING", documents=3) for _ in range(2))
    service.queue.lease("w-one", max_tasks=2, batch_id=batch_id)
    service.queue.lease("w-two", max_tasks=1, batch_id=batch_id)
    service.queue.lease("elsewhere", max_tasks=3, batch_id=other)
    page = read(operator, f"/batches/{batch_id}")
    shown = [words(each) for each in page.xpath("//section[@aria-labelledby='workers-title']//li")]
    assert [each.split(",")[0] for each in shown] == ["w-one 2 tasks", "w-two 1 task"]


def test_the_audit_trail_is_a_timeline(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    stories.act(service, batch_id, "pause", reason="the <model> is down")
    items = read(operator, f"/batches/{batch_id}").xpath("//ol[@class='timeline']/li")
    assert len(items) == 5
    newest = words(items[0])
    for said in ("pause by an operator", "(operator)", "ANALYZING to PAUSED", "version 5", "the <model> is down"):
        assert said in newest
    assert [words(each) for each in items[-1].xpath(".//strong")] == ["create"]


def test_the_audit_trail_is_filtered_and_downloaded(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "COMPLETED")

    def versions(query: str) -> list[int]:
        lines = operator.get(f"/batches/{batch_id}/audit.jsonl?{query}").data.splitlines()
        return [orjson.loads(line)["version"] for line in lines]

    assert versions("") == [5, 4, 3, 2, 1]
    assert versions("kind=event") == [5, 3]
    assert versions("actor=OPERATOR") == [4, 2, 1]
    page = read(operator, f"/batches/{batch_id}/audit?kind=event")
    assert len(page.xpath("//ol[@class='timeline']/li")) == 2
    assert read(operator, f"/batches/{batch_id}/audit", headers=FRAGMENT).get("id") == "audit-trail"
    download = one(page, "//a[@download]/@href")
    assert "kind=event" in download
    for path in ("/batches/999/audit", "/batches/999/audit.jsonl"):
        assert operator.get(path).status_code == 404


def test_the_charts_have_columns_of_one_length(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    service.sweeper.sweep()
    stories.finish_all(service, batch_id)
    columns = operator.get(f"/batches/{batch_id}/moments").json
    assert len(columns) == 4
    assert {len(each) for each in columns} == {1}, "the sample is too near to the end of the run"
    assert columns[0] == sorted(columns[0])
    saved = stories.create(service)
    assert operator.get(f"/batches/{saved}/moments").json == [[], [], [], []]


def test_there_is_no_such_batch(operator: FlaskClient) -> None:
    for path in ("", "/now", "/picture.svg", "/moments"):
        assert operator.get(f"/batches/999999{path}").status_code == 404


def test_the_number_of_statements_does_not_grow(operator: FlaskClient, service: Services) -> None:
    small, large = (stories.bring(service, "ANALYZING", documents=documents) for documents in (2, 60))
    for _ in range(8):
        stories.act(service, large, "pause")
        stories.act(service, large, "resume")
    for batch_id in (small, large):
        first, *_ = stories.lease(service, batch_id)
        stories.fail(service, first, retryable=False)
    with counted(service) as few:
        read(operator, f"/batches/{small}")
    with counted(service) as many:
        read(operator, f"/batches/{large}")
    assert len(few) == len(many) <= 12


def test_no_template_and_no_script_names_a_state() -> None:
    folder = ROOT / "app" / "ui"
    sources = [*folder.rglob("templates/**/*.html"), *folder.glob("static/*.js")]
    assert sources
    states = set(BatchState) - set(TaskStatus)
    for source in sources:
        text = source.read_text()
        assert [state for state in states if state in text] == [], source


def test_what_the_tasks_wait_for_is_said(operator: FlaskClient, service: Services) -> None:
    """A closed connection with its reason, and what no present worker can do; the fragment follows at once."""
    batch_id = stories.bring(service, "ANALYZING")
    service.reads.workers.seen()  # writes that a worker was seen
    assert "Tasks wait" not in operator.get(f"/batches/{batch_id}/now", headers=FRAGMENT).text
    stories.report_calls(service, "failed", message="connection refused by <10.0.0.1>")
    page = read(operator, f"/batches/{batch_id}")
    (row,) = page.xpath("//section[@aria-labelledby='waits-title']//li")
    assert re.fullmatch(
        r"local: closed \(outage\) since .+, next try .+\. connection refused by <10\.0\.0\.1>", words(row)
    )
    stories.forget_workers(service)
    fragment = operator.get(f"/batches/{batch_id}/now", headers=FRAGMENT).text
    assert "no present worker can do it" in fragment
    stories.report_calls(service, "succeeded")
    service.queue.lease("w", batch_id=4711)
    service.reads.workers.seen()
    assert "Tasks wait" not in operator.get(f"/batches/{batch_id}/now", headers=FRAGMENT).text
