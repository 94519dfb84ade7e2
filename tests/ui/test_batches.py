"""The list of batches: sections, tabs, search, order, pages; and a number of statements that does not grow with it."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.transitions import ACTIONS, BatchState
from app.services import Services
from app.services.reads import batch_list, batches
from tests.services import stories
from tests.support.statements import counted
from tests.ui.visits import FRAGMENT, one, read, visitor, words

MOST_QUERIES = 10  # with those of the session and of the bar of every page


def rows(page: Any) -> list[str]:
    return [words(each) for each in page.xpath("//tbody/tr/td/a")]


def ids(page: Any) -> list[int]:
    return [int(each.get("id").removeprefix("batch-")) for each in page.xpath("//tbody/tr")]


def test_there_is_a_tab_for_each_state_with_its_count(operator: FlaskClient, service: Services) -> None:
    for state in ("SAVED", "STAGED", "STAGED"):
        stories.bring(service, state)
    tabs = [words(each) for each in read(operator, "/").xpath("//nav[@class='chips']/a")]
    counts = {"SAVED": 1, "STAGED": 2}
    assert tabs == ["all 3", *(f"{state} {counts.get(state, 0)}" for state in BatchState)]


def test_a_tab_shows_the_batches_of_its_state(operator: FlaskClient, service: Services) -> None:
    saved, staged = stories.bring(service, "SAVED"), stories.bring(service, "STAGED")
    assert ids(read(operator, "/")) == [staged, saved]
    page = read(operator, "/?state=STAGED")
    assert ids(page) == [staged]
    assert words(one(page, "//nav[@class='chips']/a[@aria-current]")) == "STAGED 1"
    assert ids(read(operator, "/?state=NONSENSE")) == [staged, saved]


def named(service: Services, *names: str) -> list[int]:
    made = []
    for name in names:
        batch_id = stories.create(service)
        from app.services.input import edits

        edits.rename(service.batches, batch_id, {"name": name}, stories.OPERATOR)
        made.append(batch_id)
    return made


def test_search_and_order(operator: FlaskClient, service: Services) -> None:
    named(service, "beta", "Alpha 100%", "gamma")
    assert rows(read(operator, "/?sort=name")) == ["Alpha 100%", "beta", "gamma"]
    assert rows(read(operator, "/?sort=oldest")) == ["beta", "Alpha 100%", "gamma"]
    assert rows(read(operator, "/?name=ALPHA")) == ["Alpha 100%"]
    assert rows(read(operator, "/?name=0%25")) == ["Alpha 100%"]
    assert "No batch matches" in words(read(operator, "/?name=delta"))


@pytest.mark.parametrize("sort", list(batches.Sort))
def test_pages_follow_one_another(
    operator: FlaskClient, service: Services, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(service, "b", "a", "b", "c", "a")
    whole = ids(read(operator, f"/?sort={sort}"))
    monkeypatch.setattr(batch_list, "PAGE", 2)
    monkeypatch.setattr(batch_list.BatchList.page, "__defaults__", (batches.Sort.NEWEST, None, 2))
    page = read(operator, f"/?sort={sort}")
    seen = ids(page)
    while further := page.xpath("//a[@rel='next']/@href"):
        page = read(operator, further[0])
        seen += ids(page)
    assert seen == whole
    assert len(seen) == 5


def test_the_first_visit_teaches(operator: FlaskClient) -> None:
    page = read(operator, "/")
    assert "There is no batch yet" in words(page)
    assert "/api/batches" in words(one(page, "//pre"))


def test_a_viewer_gets_nothing_to_click_that_would_be_refused(
    app: Flask, tokens: dict[str, str], service: Services
) -> None:
    stories.create(service)
    viewer = visitor(app, tokens, "viewer")
    page = read(viewer, "/")
    assert page.xpath("//button[@name='action'] | //input[@type='checkbox'] | //a[@href='/batches/new']") == []
    assert viewer.post("/batches/bulk", data={"action": "stage"}).status_code in (400, 403)
    operator = read(visitor(app, tokens, "operator"), "/")
    assert operator.xpath("//button[@name='action']/@value") == list(ACTIONS)


def test_a_row_shows_progress_and_cost(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=4)
    done, failed, _ = stories.lease(service, batch_id, most=3)
    stories.complete(service, done, {"text": "x", "usage": {"cost": 1.5}})
    stories.fail(service, failed, retryable=False)
    row = one(read(operator, "/"), f"//tr[@id='batch-{batch_id}']")
    bar = one(row, ".//svg")
    assert bar.get("aria-label") == "1 completed, 1 failed, 1 leased, 1 queued"
    assert [float(each) for each in bar.xpath("./rect/@width")] == [25.0] * 4
    assert "50 % of 4, 1 failed" in words(row)
    assert "1.50" in words(row)


def sections_of(page: Any) -> dict[str, list[int]]:
    """The ids of the batches below each heading."""
    found = {}
    for heading in page.xpath("//h2[@class='section']"):
        table = heading.xpath("./following-sibling::div[1]")[0]
        found[words(heading).rstrip("+0123456789 ")] = [int(each[6:]) for each in table.xpath(".//tbody/tr/@id")]
    return found


def test_what_needs_somebody_comes_first(operator: FlaskClient, service: Services) -> None:
    made = {state: stories.bring(service, state) for state in BatchState}
    failed, paused, running = made[BatchState.FAILED], made[BatchState.PAUSED], made[BatchState.ANALYZING]
    others = [made[state] for state in (BatchState.COMPLETED, BatchState.STAGED, BatchState.SAVED)]
    sections = sections_of(read(operator, "/"))
    assert sections["Needs you"] == sorted([failed, paused], reverse=True)
    assert sections["Running"] == sorted([running, made[BatchState.STAGING]], reverse=True)
    assert sections["All others"] == sorted(others, reverse=True)


def test_a_batch_that_stands_still_needs_somebody(
    operator: FlaskClient, service: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    assert sections_of(read(operator, "/")) == {"Running": [batch_id]}
    monkeypatch.setattr(batch_list, "stands_still", lambda *_: True)
    page = read(operator, "/")
    assert sections_of(page) == {"Needs you": [batch_id]}
    assert "still for" in words(one(page, f"//tr[@id='batch-{batch_id}']"))


def test_a_row_shows_who_changed_it_last_and_why(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    stories.act(service, batch_id, "cancel", reason="GPU box needed")
    last = words(one(read(operator, "/"), f"//tr[@id='batch-{batch_id}']/td[@class='last']"))
    assert last.startswith("cancel by ")
    assert last.endswith(": GPU box needed")


def test_a_number_is_found_as_an_id(operator: FlaskClient, service: Services) -> None:
    first, second = stories.create(service), stories.create(service)
    assert ids(read(operator, f"/?name={first}")) == [first]
    assert ids(read(operator, f"/?name=%23{second}")) == [second]


def test_a_script_gets_the_list_alone(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.create(service)
    fragment = read(operator, "/", headers=FRAGMENT)
    assert fragment.get("id") == "list"
    assert ids(fragment) == [batch_id]


def test_the_number_of_statements_does_not_grow(operator: FlaskClient, service: Services) -> None:
    stories.bring(service, "ANALYZING")
    with counted(service) as few:
        read(operator, "/")
    for _ in range(30):
        stories.bring(service, "STAGED", documents=1)
    with counted(service) as many:
        read(operator, "/")
    assert len(few) == len(many) <= MOST_QUERIES
