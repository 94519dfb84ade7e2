"""The page of activity, and the call beside it: who changed what, when and why, over all batches."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.services import Services
from app.services.reads import audit
from tests.services import stories
from tests.support.client import ApiClient
from tests.support.statements import counted
from tests.ui.visits import FRAGMENT, read, words

MOST_QUERIES = 5


def rows(page: Any) -> list[list[str]]:
    """What was done by whom to which batch and why, row by row."""
    return [[words(cell) for cell in row.xpath("./td")][1:4] for row in page.xpath("//tbody/tr")]


def test_who_cancelled_last_night(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    stories.act(service, batch_id, "cancel", reason="GPU box needed")
    other = stories.create(service)
    page = read(operator, "/activity")
    assert [row[1] for row in rows(page)[:3]] == ["create", "cancel", "run"], "the newest first"
    assert "GPU box needed" in words(page)
    assert [row[1] for row in rows(read(operator, "/activity?trigger=cancel&hours=12"))] == ["cancel"]
    assert [row[1] for row in rows(read(operator, "/activity?state=FAILED"))] == ["cancel"]
    assert {row[2][-2:] for row in rows(read(operator, "/activity?trigger=nonsense"))} == {f"#{batch_id}", f"#{other}"}
    assert "No change matches" in words(read(operator, "/activity?actor=nobody"))
    assert "No change matches" in words(read(operator, "/activity?day=1999-12-31"))
    assert read(operator, "/activity?actor=x&hours=y&day=z&before=w", headers=FRAGMENT).get("id") == "activity"


def test_pages_follow_one_another(
    operator: FlaskClient, client: ApiClient, service: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a page looks at fewer changes than there are: it is short, and the next one goes on."""
    for state in ("COMPLETED", "SAVED", "STAGED"):
        stories.bring(service, state)
    whole = client.get("/api/activity?limit=200").json["activity"]
    assert [each["at"] for each in whole] == sorted((each["at"] for each in whole), reverse=True)
    monkeypatch.setattr(audit, "MOST_SCANNED", 3)
    seen: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        found = client.get(f"/api/activity?limit=2{cursor and f'&cursor={cursor}'}").json
        seen += found["activity"]
        cursor = found["next_cursor"]
    assert seen == whole
    page = read(operator, "/activity?trigger=create")
    found = rows(page)
    while further := page.xpath("//a[@rel='next']/@href"):
        page = read(operator, further[0])
        found += rows(page)
    assert [row[1] for row in found] == ["create"] * 3


def test_the_call(client: ApiClient, service: Services) -> None:
    batch_id = stories.create(service)
    (only,) = (
        client.get("/api/activity?trigger=create&since=2000-01-01T00:00:00Z").json["activity"]
        if False
        else (client.get("/api/activity?state=SAVED&since=2000-01-01T00:00:00Z").json["activity"])
    )
    assert (only["batch_id"], only["trigger"], only["version"]) == (batch_id, "create", 1)
    assert client.get("/api/activity?until=2000-01-01T00:00:00Z").json == {"activity": [], "next_cursor": None}
    for wrong in ("cursor=1", "state=NONE", "trigger=x", "since=yesterday", "what=x"):
        assert client.get(f"/api/activity?{wrong}").status_code == 422


def test_the_number_of_statements_does_not_grow(operator: FlaskClient, service: Services) -> None:
    stories.create(service)
    read(operator, "/activity")
    with counted(service) as few:
        read(operator, "/activity")
    for _ in range(10):
        stories.bring(service, "ANALYZING")
    with counted(service) as many:
        read(operator, "/activity")
    assert len(many) <= len(few) <= MOST_QUERIES
