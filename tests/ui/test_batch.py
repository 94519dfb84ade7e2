"""The page of one batch: what it shows, its buttons, its audit trail; and a number of statements that does not grow."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from app import db
from app.db import transaction
from app.domain import transitions
from app.domain.connection.circuits import ErrorClass
from app.domain.leases import TaskStatus
from app.domain.transitions import ACTIONS, BatchState
from app.models import ProgressSample, WorkerSighting
from app.services import Services
from app.services.input import edits
from app.services.reads import batch_page
from tests.services import stories
from tests.support.statements import counted
from tests.support.waiting import wait_until
from tests.test_architecture import ROOT
from tests.ui.visits import FRAGMENT, one, read, visitor, words


def buttons(page: Any) -> list[Any]:
    return list(page.xpath("//div[contains(@class, 'actions')]//button"))


def action_of(button: Any) -> str:
    return str(button.get("id")).removeprefix("act-")


@pytest.mark.parametrize("state", list(BatchState))
def test_the_buttons_are_those_of_the_table(operator: FlaskClient, service: Services, state: str) -> None:
    batch_id = stories.bring(service, state)
    page = read(operator, f"/batches/{batch_id}")
    assert sorted(map(action_of, buttons(page))) == sorted(ACTIONS)
    possible = page.xpath("//div[contains(@class, 'actions')]/button")
    allowed = service.reads.batches.show(batch_id)["allowed_actions"]
    assert sorted(map(action_of, possible)) == sorted(allowed), "the possible ones are in sight"
    impossible = page.xpath("//details[@id='more']//button")
    assert sorted(map(action_of, impossible)) == sorted(set(ACTIONS) - set(allowed)), "the others are in the menu"
    for each in service.batches.actions(batch_id):
        button = one(page, f"//button[@id='act-{each['action']}']")
        assert button.get("disabled") is None, "a disabled button cannot be focused, and so not say why"
        if each["allowed"]:
            assert button.get("title") == transitions.BY_TRIGGER[each["action"]].meaning
        else:
            why = words(one(page, f"//*[@id='{button.get('aria-describedby')}']"))
            assert (why, button.get("aria-disabled")) == (each["reason"], "true")
        assert (button.get("formaction") is None) == (not each["allowed"])


@pytest.mark.parametrize("state", list(BatchState))
def test_there_is_one_primary_action_at_most_and_what_ends_something_is_red(
    operator: FlaskClient, service: Services, state: str
) -> None:
    batch_id = stories.bring(service, state)
    looks = {
        action_of(each): each.get("class")
        for each in read(operator, f"/batches/{batch_id}").xpath("//div[contains(@class, 'actions')]/button")
    }
    assert list(looks.values()).count("primary") <= 1
    assert {action for action, look in looks.items() if look == "danger"} == {"cancel", "reset"} & looks.keys()


def test_a_guard_is_a_reason_too(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.create(service, documents=0)
    page = read(operator, f"/batches/{batch_id}")
    assert one(page, "//button[@id='act-stage']").get("aria-disabled") == "true"
    assert words(one(page, "//*[@id='why-stage']")) == "stage is not possible: the batch has no documents."
    assert "Not ready: stage is not possible" in words(one(page, "//*[@role='status'][contains(@class, 'why')]"))


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
    assert words(one(read(operator, f"/batches/{batch_id}"), "//head/title")).startswith(title)
    fragment = operator.get(f"/batches/{batch_id}/now", headers=FRAGMENT).get_data(as_text=True)
    assert f"<title>{title}</title>" in fragment
    assert fragment.count("data-version") == 1, "the head is in it, beside the part that changes"


def test_the_deadline_is_shown(operator: FlaskClient, service: Services) -> None:
    without = stories.bring(service, "ANALYZING")
    assert "deadline" not in words(read(operator, f"/batches/{without}/now", headers=FRAGMENT))
    batch_id = stories.bring(service, "ANALYZING", deadline_at=datetime(2099, 1, 1, tzinfo=UTC))
    page = read(operator, f"/batches/{batch_id}/now", headers=FRAGMENT)
    assert one(page, "//span[contains(., 'deadline')]/time").get("datetime") == "2099-01-01T00:00:00Z"


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
        ["2", "server_error 503", "overloaded, request …", "local/m0", "ask again 2"],
        ["2", "timeout", "no answer", "local/m0", "ask again 2"],
        ["1", "server_error 502", "local answers 502: bad gateway", "local/m0", "ask again 1"],
        ["1", "request_refused 400", "local answers 400: 9000 tokens", "local/m0", "will fail again"],
    ]
    assert "6 tasks failed" not in words(page)
    alone = read(operator, f"/batches/{batch_id}/failures")
    rows = one(alone, "//section[@aria-labelledby='failed-title']//tbody").xpath("./tr")
    assert [[words(cell) for cell in row.xpath("./td")] for row in rows] == cells


def workers_on(page: Any) -> list[list[str]]:
    rows = page.xpath("//section[@aria-labelledby='workers-title']//tr")
    return [[words(cell) for cell in row.xpath("./td")] for row in rows]


def test_workers_on_it_now(operator: FlaskClient, service: Services) -> None:
    batch_id, other = (stories.bring(service, "ANALYZING", documents=3) for _ in range(2))
    service.queue.lease("w-one", max_tasks=2, batch_id=batch_id)
    service.queue.lease("w-two", max_tasks=1, batch_id=batch_id)
    service.queue.lease("elsewhere", max_tasks=3, batch_id=other)
    page = read(operator, f"/batches/{batch_id}")
    assert workers_on(page) == [["w-one", "holds 2", ""], ["w-two", "holds 1", ""]]


def test_a_worker_that_missed_its_heartbeats_is_silent(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=3)
    for worker in ("w-one", "w-two"):
        service.queue.lease(worker, max_tasks=1, batch_id=batch_id)
    service.sightings.write()
    table = db.table_of(WorkerSighting)
    with transaction(service.engine) as connection:
        past = db.now(connection) - timedelta(seconds=90)
        connection.execute(update(table).where(table.c.worker == "w-two").values(last_seen_at=past))
    page = read(operator, f"/batches/{batch_id}")
    heard, silent = workers_on(page)
    assert (heard[0], heard[2].startswith("heard ")) == ("w-one", True)
    assert (silent[0], silent[2].startswith("silent for 1 min ")) == ("w-two", True)
    assert service.reads.workers.silent() == 1


def test_the_audit_trail_is_a_timeline(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    stories.act(service, batch_id, "pause", reason="the <model> is down")
    rows = read(operator, f"/batches/{batch_id}/audit").xpath("//div[@id='timeline']//tbody/tr")
    assert len(rows) == 5
    newest = [words(each) for each in rows[0].xpath("./td")]
    assert newest[1:] == ["an operator operator", "pause", "ANALYZING to PAUSED", "the <model> is down", "5"]
    assert words(rows[-1].xpath("./td")[2]) == "create"
    latest = one(read(operator, f"/batches/{batch_id}"), "//section[@aria-labelledby='changes-title']")
    said = [words(each.xpath("./td")[1]) for each in latest.xpath(".//tr")]
    assert said[0] == "pause by an operator: the <model> is down"
    assert len(said) == 3


def test_the_audit_trail_is_filtered_and_downloaded(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "COMPLETED")

    def versions(query: str) -> list[int]:
        lines = operator.get(f"/batches/{batch_id}/audit.jsonl?{query}").data.splitlines()
        return [orjson.loads(line)["version"] for line in lines]

    assert versions("") == [5, 4, 3, 2, 1]
    assert versions("kind=event") == [5, 3]
    assert versions("actor=OPERATOR") == [4, 2, 1]
    page = read(operator, f"/batches/{batch_id}/audit?kind=event")
    assert len(page.xpath("//div[@id='timeline']//tbody/tr")) == 2
    assert read(operator, f"/batches/{batch_id}/audit", headers=FRAGMENT).get("id") == "audit-trail"
    download = one(page, "//a[@download]/@href")
    assert "kind=event" in download
    for path in ("/batches/999/audit", "/batches/999/audit.jsonl"):
        assert operator.get(path).status_code == 404


def test_the_chart_begins_with_the_third_sample(
    operator: FlaskClient, service: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of fewer samples would be noise; of a batch that was never run there is none."""

    def chart(batch: int) -> list[Any]:
        return list(read(operator, f"/batches/{batch}").xpath("//*[local-name()='svg'][@class='chart']"))

    batch_id = stories.bring(service, "ANALYZING", documents=6)
    assert chart(stories.create(service)) == chart(batch_id) == []
    monkeypatch.setattr(batch_page, "LEAST_SECONDS", 0.0)  # the samples are milliseconds apart
    started = datetime.fromisoformat(str(service.reads.batches.show(batch_id)["started_at"]))
    samples = [
        {
            "batch_id": batch_id, "run": 1, "number": number, "gap_seconds": 10,
            "at": started + timedelta(milliseconds=number), "finished": number, "attempts": number,
            "failures": number // 3, "timed": number, "latency_ms": 400 * number, "cost_nanos": 0,
        }
        for number in range(1, 4)
    ]  # fmt: skip
    with transaction(service.engine) as connection:
        connection.execute(insert(db.table_of(ProgressSample)), samples)
    (drawn,) = chart(batch_id)
    paths = {each.get("class"): each.get("d") for each in drawn}
    assert paths["calls"].count("L") == 3, "three samples and the present"
    assert {"grid", "calls", "failed", "latency"} <= paths.keys()
    assert "400" in drawn.get("aria-label")


def test_there_is_no_such_batch(operator: FlaskClient) -> None:
    for path in ("", "/now", "/head", "/picture.svg", "/failures", "/input"):
        assert operator.get(f"/batches/999999{path}").status_code == 404


def test_the_number_of_statements_does_not_grow(operator: FlaskClient, service: Services) -> None:
    small, large = (stories.bring(service, "ANALYZING", documents=documents) for documents in (2, 60))
    for _ in range(8):
        stories.act(service, large, "pause")
        stories.act(service, large, "resume")
    for batch_id in (small, large):
        first, *_ = stories.lease(service, batch_id)
        stories.fail(service, first, retryable=False)
        with counted(service) as at_first:
            read(operator, f"/batches/{batch_id}")
        assert len(at_first) <= 10
    with counted(service) as few:
        read(operator, f"/batches/{small}")
    with counted(service) as many:
        read(operator, f"/batches/{large}")
    assert len(few) == len(many) <= 10


def test_no_template_and_no_script_names_a_state() -> None:
    folder = ROOT / "app" / "ui"
    sources = [*folder.rglob("templates/**/*.html"), *folder.glob("static/*.js")]
    assert sources
    states = set(BatchState) - set(TaskStatus)
    for source in sources:
        text = source.read_text()
        assert [state for state in states if state in text] == [], source


def test_what_the_tasks_wait_for_is_said(operator: FlaskClient, service: Services) -> None:
    """A closed connection with its reason, and what no present worker can do; the fragment follows."""
    batch_id = stories.bring(service, "ANALYZING")

    def is_said(what: str) -> bool:
        return what in operator.get(f"/batches/{batch_id}/now", headers=FRAGMENT).text

    service.sightings.write()
    assert not is_said("Tasks wait")
    stories.report_calls(service, "failed", message="connection refused by <10.0.0.1>")
    page = read(operator, f"/batches/{batch_id}")
    (row,) = page.xpath("//section[@aria-labelledby='waits-title']//li")
    assert re.fullmatch(
        r"local: closed \(outage\) since .+, next try .+\. connection refused by <10\.0\.0\.1>", words(row)
    )
    stories.forget_workers(service)
    wait_until(lambda: is_said("no present worker can do it"), "the fragment, which is two seconds late at most")
    stories.report_calls(service, "succeeded")
    service.queue.lease("w", batch_id=4711)
    service.sightings.write()
    wait_until(lambda: not is_said("Tasks wait"), "the fragment after the worker came back")


def follows(page: Any) -> list[str]:
    return [words(each) for each in page.xpath("//section[@aria-labelledby='waits-title']/p")]


@pytest.mark.parametrize("error_class", list(ErrorClass))
def test_each_class_of_a_closed_connection_says_what_follows(
    operator: FlaskClient, service: Services, error_class: ErrorClass
) -> None:
    """What a person has to do, or that the tasks go on by themselves."""
    batch_id = stories.bring(service, "ANALYZING")
    service.sightings.write()
    stories.report_calls(service, "failed", error_class=error_class, model="m0")
    (sentence,) = follows(read(operator, f"/batches/{batch_id}"))
    is_for_a_person = error_class in (ErrorClass.ACCESS, ErrorClass.MODEL)
    assert ("correct that" in sentence, "by themselves" in sentence) == (is_for_a_person, not is_for_a_person)


def test_what_no_worker_can_do_says_what_follows(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    stories.forget_workers(service)
    expected = "These tasks go on as soon as there is a worker that can do them."
    assert follows(read(operator, f"/batches/{batch_id}")) == [expected]


def test_equal_edits_of_one_minute_are_one_row(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.create(service)
    for name in ("one", "two", "three"):
        edits.rename(service.batches, batch_id, {"name": name}, stories.OPERATOR)
    rows = read(operator, f"/batches/{batch_id}/audit").xpath("//div[@id='timeline']//tbody/tr")
    folded, created = (words(row) for row in rows)
    assert "3 times" in folded
    assert folded.endswith("2 to 4")
    assert "create" in created


def test_keys_lead_to_the_batches_beside(operator: FlaskClient, service: Services) -> None:
    first, second, third = (stories.create(service) for _ in range(3))
    edits.archive(service.batches, second, stories.OPERATOR)
    for batch_id, way, other in ((first, "after", third), (third, "before", first), (first, "before", first)):
        answer = operator.get(f"/batches/{batch_id}/beside?way={way}")
        assert (answer.status_code, answer.location) == (303, f"/batches/{other}")
