"""The pages of webhooks: made, shown once, tested, disabled, replaced and deleted; messages that are sent again."""

from typing import Any

import pytest
from flask import Flask

from app.services import Services
from config import Config
from tests.services import stories
from tests.support.client import ApiClient
from tests.support.receiver import Receiver, running_receiver
from tests.ui.visits import one, parsed, read, visitor, words

MADE = {"url": "https://example.com/hook", "types": ["batch.paused", "batch.failed"], "format": "standard"}


@pytest.fixture
def config(database_url: str) -> Config:
    return Config(
        database_url=database_url, embedded_worker=False, sweeper=False, webhook_allowed_networks="127.0.0.1/32"
    )


@pytest.fixture
def receiver() -> Any:
    with running_receiver() as running:
        yield running


def test_make_show_once_change_and_delete(app: Flask, client: ApiClient) -> None:
    admin, services = visitor(app, client.tokens, "admin"), app.extensions["interlock"]
    page = parsed(admin.post("/webhooks", data=MADE))
    secret = words(one(page, "//*[@id='secret']"))
    assert secret.startswith("whsec_")
    (made,) = services.webhooks.list()
    assert (made["url"], made["types"]) == (MADE["url"], MADE["types"])
    path = f"/webhooks/{made['id']}"
    assert secret not in read(admin, "/webhooks").text_content() + read(admin, path).text_content()
    rotated = words(one(parsed(admin.post(path, data={"do": "rotate"})), "//*[@id='secret']"))
    assert rotated not in (secret, "")
    for do, enabled in (("disable", False), ("enable", True)):
        assert admin.post(path, data={"do": do}).status_code == 303
        assert services.webhooks.show(made["id"])["enabled"] is enabled
    parsed(admin.post(path, data={"do": "dance"}), 422)
    assert admin.post(path, data={"do": "delete"}).status_code == 303
    assert services.webhooks.list() == []
    parsed(admin.get(path), 404)


def test_422_says_what_is_wrong(app: Flask, client: ApiClient) -> None:
    admin = visitor(app, client.tokens, "admin")
    for wrong, said in (
        ({"url": ""}, "needs a URL"),
        ({"url": "http://10.0.0.1/"}, "private or reserved address"),
        ({"types": []}, "Choose the messages that the webhook gets"),
        ({"types": ["batch.unknown"]}, "Choose the messages that the webhook gets"),
        ({"format": "openai"}, "of the format openai"),
    ):
        page = parsed(admin.post("/webhooks", data={**MADE, **wrong}), 422)
        assert said in words(one(page, "//*[@role='alert']"))


def test_a_webhook_of_apprise_shows_no_secret(app: Flask, client: ApiClient, receiver: Receiver) -> None:
    admin = visitor(app, client.tokens, "admin")
    given = {"url": f"json://127.0.0.1:{receiver.port}/t0ken", "format": "apprise", "digest_minutes": "9"}
    made = admin.post("/webhooks", data={**MADE, **given})
    assert made.status_code == 303
    path = made.headers["Location"]
    page = read(admin, path)
    assert words(one(page, "//h1")) == "json://127.0.0.1/..."
    assert words(one(page, "//dt[.='At most one digest in']/following-sibling::dd[1]")) == "9 min"
    assert page.xpath("//button[@value='rotate']") == []
    tested = parsed(admin.post(path, data={"do": "test"}))
    assert "The receiver took a test message in" in words(one(tested, "//p[@role='status']"))
    assert "t0ken" not in page.text_content() + read(admin, "/webhooks").text_content()
    for wrong in ("0", "1441", "x"):
        refused = parsed(admin.post("/webhooks", data={**MADE, **given, "digest_minutes": wrong}), 422)
        assert "Minutes between two digests" in words(one(refused, "//*[@role='alert']"))


def test_tested_and_sent_again(app: Flask, client: ApiClient, receiver: Receiver) -> None:
    admin = visitor(app, client.tokens, "admin")
    services: Services = app.extensions["interlock"]
    parsed(admin.post("/webhooks", data={**MADE, "url": receiver.url, "types": ["batch.state_changed"]}))
    (made,) = services.webhooks.list()
    path = f"/webhooks/{made['id']}"
    tested = parsed(admin.post(path, data={"do": "test"}))
    assert "The receiver took a test message: it answered 204" in words(one(tested, "//p[@role='status']"))
    batch_id = stories.create(services)
    stories.act(services, batch_id, "stage")
    services.sweeper.sweep()
    page = read(admin, path)
    row = one(page, f"//tr[th='msg_{batch_id}_2']")
    assert "DELIVERED" in words(row)
    assert admin.post(path, data={"do": "send again", "message": f"msg_{batch_id}_2"}).status_code == 303
    services.sweeper.sweep()
    assert receiver.ids[-2:] == [f"msg_{batch_id}_2"] * 2
    assert "No messages with this status" in read(admin, f"{path}?status=FAILED").text_content()
