"""NUL, line breaks in media types and times of year 1: refused with 422, never a fault of the service."""

from urllib.parse import quote

import pytest
from flask import Flask

from app.services import Services
from tests.services.stories import bring
from tests.support.client import ApiClient
from tests.ui.visits import visitor

NUL = quote("a\0b")
LINE_BREAK = "text/plain\r\nX-Other: 1"


@pytest.mark.parametrize(
    "path",
    [
        f"/?name={NUL}",
        f"/batches/1/tasks?code={NUL}",
        f"/batches/1/audit?actor={NUL}",
        f"/batches/1/tasks?cursor={NUL}",
        f"/tokens?after={NUL}",
        "/batches/1/tasks?status=COMPLETED&cursor=0001-01-01T00:00:00%2B14:00_1",
        "/batches/1/tasks?status=LEASED&cursor=0001-01-01T00:00:00%2B14:00_1",
        "/batches/1/tasks?status=QUEUED&cursor=9999-12-31T23:59:59-14:00_1",
        "/batches/1/tasks?status=FAILED&cursor=0001-01-01T00:00:00%2B14:00_1",
    ],
)
def test_an_address_on_the_pages(app: Flask, services: Services, tokens: dict[str, str], path: str) -> None:
    assert bring(services, "ANALYZING") == 1
    assert visitor(app, tokens, "admin").get(path, headers={"Accept": "text/html"}).status_code == 422


def test_the_name_of_a_token(app: Flask, tokens: dict[str, str]) -> None:
    form = {"name": "a\0b", "role": "viewer"}
    assert visitor(app, tokens, "admin").post("/tokens", data=form).status_code == 422


def test_a_search_in_a_form(app: Flask, tokens: dict[str, str]) -> None:
    form = {"action": "pause", "scope": "filter", "name": "a\0b"}
    assert visitor(app, tokens, "operator").post("/batches/bulk", data=form).status_code == 200


def test_a_media_type(app: Flask, client: ApiClient, tokens: dict[str, str]) -> None:
    batch_id = client.post("/api/batches", json={"name": "b"}).json["id"]
    document = {"name": "a.txt", "text": "x", "media_type": LINE_BREAK}
    assert client.post(f"/api/batches/{batch_id}/documents", json={"documents": [document]}).status_code == 422
    operator = visitor(app, tokens, "operator")
    for broken in (LINE_BREAK, "a\0b"):
        path = f"/batches/{batch_id}/files?name=a.txt&type={quote(broken)}"
        assert operator.post(path, data=b"x").status_code == 422
    assert client.get(f"/api/batches/{batch_id}/documents").json["documents"] == []
