"""Deliveries: signed by Standard Webhooks, repeated until they are taken, replayed; a slow receiver delays nobody."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from openai import OpenAI
from sqlalchemy import update
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from app import db
from app.db import transaction
from app.domain.webhook.retries import WAITS_SECONDS
from app.models import Delivery, Webhook
from app.services import Services
from app.services.message import deliveries
from app.services.webhook import sending
from tests.services import stories
from tests.support.receiver import Answer, Received, Receiver
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.webhooks.subscriptions import let_tries_come, messages, subscribe

GRACE = timedelta(minutes=2)  # that a slow machine may take between a try and the look at it


def one_change(services: Services) -> int:
    batch_id = stories.create(services)
    stories.act(services, batch_id, "stage")
    return batch_id


def is_accepted(each: Received, secret: str) -> bool:
    try:
        StandardWebhook(secret).verify(each.body, dict(each.headers))
        return True
    except WebhookVerificationError:
        return False


def test_the_public_library_accepts_each_message(services: Services, receiver: Receiver) -> None:
    webhook = subscribe(services, receiver)
    list(stories.walk(services, stories.create(services), "stage * run *"))
    services.sweeper.sweep()
    assert len(receiver.received) == 4
    for each in receiver.received:
        assert is_accepted(each, webhook["secret"])
        assert each.path == "/hook?from=interlock"
        assert each.headers["content-type"] == "application/json"
        assert each.headers["host"] == f"127.0.0.1:{receiver.port}"
    other = services.webhooks.rotate(webhook["id"])["secret"]
    assert not is_accepted(receiver.received[0], other)


def test_openais_library_accepts_its_events(services: Services, receiver: Receiver) -> None:
    webhook = subscribe(services, receiver, "batch.failed", "batch.cancelled", format="openai")
    batch_id = stories.create_of_file(services, b"no JSON\n")
    for _ in range(4):
        services.sweeper.sweep()
    (each,) = receiver.received
    with OpenAI(api_key="none") as client:
        unwrapped = client.webhooks.unwrap(each.body.decode(), dict(each.headers), secret=webhook["secret"])
    assert (unwrapped.type, unwrapped.data.id) == ("batch.failed", f"batch_{batch_id}")


def test_a_rotation_loses_none(services: Services, receiver: Receiver) -> None:
    """For a day each message is signed with both secrets: a receiver may change its own at any time."""
    webhook = subscribe(services, receiver)
    secrets = [webhook["secret"]]
    for _ in range(2):
        one_change(services)
        services.sweeper.sweep()
        assert all(is_accepted(receiver.received[-1], secret) for secret in secrets)
        secrets.append(services.webhooks.rotate(webhook["id"])["secret"])
    assert services.webhooks.show(webhook["id"])["secrets"] == 3
    with transaction(services.engine) as connection:
        rows = db.table_of(Webhook)
        past = [
            {"secret": secret, "until": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}
            for secret in secrets[:2]
        ]
        connection.execute(update(rows).values(earlier_secrets=past))
    one_change(services)
    services.sweeper.sweep()
    assert [is_accepted(receiver.received[-1], secret) for secret in secrets] == [False, False, True]


def test_the_waits_between_tries(services: Services, receivers: Callable[..., Receiver]) -> None:
    """5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h, each up to 20 % longer; then it has failed."""
    refusing = receivers(lambda _: Answer(500))
    webhook = subscribe(services, refusing)
    one_change(services)
    services.courier.make_messages()
    for number, wait in enumerate(WAITS_SECONDS, 1):
        begun = services.clock.now()
        services.courier.send(inline=True)
        (waiting,) = messages(services, webhook)
        assert (waiting["status"], waiting["tries"], waiting["http_status"]) == ("PENDING", number, 500)
        next_try = datetime.fromisoformat(waiting["next_try_at"]) - begun
        assert timedelta(seconds=wait) <= next_try <= timedelta(seconds=wait * 1.2) + GRACE
        if wait > 60:  # a slow machine may take the first one between two lines
            services.courier.send(inline=True)  # it is not due
        assert len(refusing.received) == number
        let_tries_come(services)
    services.courier.send(inline=True)
    (failed,) = messages(services, webhook)
    assert (failed["status"], failed["tries"], failed["next_try_at"]) == ("FAILED", len(WAITS_SECONDS) + 1, None)
    assert failed["error"] == "The receiver answered 500, and not 2xx."
    assert len(set(refusing.ids)) == 1
    shown = services.webhooks.show(webhook["id"])
    assert (shown["failures"], shown["failure"]) == (len(WAITS_SECONDS) + 1, failed["error"])


@pytest.mark.parametrize(
    ("header", "least", "most"), [("3600", 3600, 3600), ("1", 5, 6), ("999999999", 86_400, 86_400), ("soon", 5, 6)]
)
def test_retry_after_is_heeded(
    services: Services, receivers: Callable[..., Receiver], header: str, least: float, most: float
) -> None:
    """A longer wait than ours, up to a day; a text that is none counts as absent."""
    webhook = subscribe(services, receivers(lambda _: Answer(429, {"Retry-After": header})))
    one_change(services)
    begun = services.clock.now()
    services.sweeper.sweep()
    (waiting,) = messages(services, webhook)
    next_try = datetime.fromisoformat(waiting["next_try_at"]) - begun
    assert timedelta(seconds=least) <= next_try <= timedelta(seconds=most) + GRACE


def test_410_disables(services: Services, receivers: Callable[..., Receiver]) -> None:
    gone = receivers(lambda _: Answer(410))
    webhook = subscribe(services, gone)
    one_change(services)
    services.sweeper.sweep()
    shown = services.webhooks.show(webhook["id"])
    assert (shown["enabled"], shown["disabled_reason"]) == (False, deliveries.GONE_REASON)
    one_change(services)
    services.sweeper.sweep()
    assert [each["status"] for each in messages(services, webhook)] == ["FAILED"]
    enabled = services.webhooks.change(webhook["id"], {"enabled": True})
    assert (enabled["enabled"], enabled["disabled_reason"], enabled["failures"]) == (True, None, 0)


def test_a_redirect_is_not_followed(services: Services, receivers: Callable[..., Receiver]) -> None:
    target = receivers()
    webhook = subscribe(services, receivers(lambda _: Answer(307, {"Location": target.url})))
    one_change(services)
    services.sweeper.sweep()
    assert target.received == []
    (waiting,) = messages(services, webhook)
    assert waiting["error"] == "The receiver answered 307, which is a redirect: none is followed."


def test_replayed_by_id_and_by_time(services: Services, receivers: Callable[..., Receiver]) -> None:
    broken = [True]
    receiver = receivers(lambda _: Answer(500 if broken[0] else 204))
    webhook = subscribe(services, receiver)
    since = services.clock.now()
    ids = [f"msg_{one_change(services)}_2" for _ in range(3)]
    services.sweeper.sweep()
    with transaction(services.engine) as connection:
        rows = db.table_of(Delivery)
        connection.execute(update(rows).values(status="FAILED", next_try_at=None))
    broken[0] = False
    assert services.webhooks.replay(webhook["id"], since=since, until=since) == {"replayed": 0}
    assert services.webhooks.replay(webhook["id"], message_ids=[ids[0], "none"]) == {"replayed": 1}
    services.sweeper.sweep()
    assert [each["status"] for each in messages(services, webhook)] == ["DELIVERED", "FAILED", "FAILED"]
    assert services.webhooks.replay(webhook["id"], since=since) == {"replayed": 2}
    assert services.webhooks.replay(webhook["id"], message_ids=[ids[0]]) == {"replayed": 1}
    services.sweeper.sweep()
    assert sorted(receiver.ids[-3:]) == sorted(ids)
    assert {each["status"] for each in messages(services, webhook)} == {"DELIVERED"}


def test_a_slow_receiver_delays_no_other_one_and_no_pass(
    services: Services, receivers: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader begins to send and goes on; each webhook has threads of its own."""
    monkeypatch.setattr(sending, "SECONDS", LIMIT_SECONDS)
    released = threading.Event()

    def stall(_: Received) -> Answer:
        released.wait()
        return Answer()

    slow, quick = receivers(stall), receivers()
    subscribe(services, slow)
    subscribe(services, quick)
    try:
        for _ in range(10):
            one_change(services)
        services.courier.make_messages()
        services.courier.send(inline=False)
        wait_until(lambda: len(quick.received) == 10, "the messages of the quick receiver")
        wait_until(lambda: slow.received, "a message for the slow one")
        assert len(slow.received) <= 4
        one_change(services)
        services.courier.make_messages()
        wait_until(  # the pass after the next one begins a lane that was just ending
            lambda: len(set(quick.ids)) == 11 or services.courier.send(inline=False),
            "a message while the slow receiver still stalls",
        )
    finally:
        released.set()
    wait_until(lambda: len(set(slow.ids)) == 11 or services.courier.send(inline=False), "the slow one's messages")


def test_a_delivery_that_another_process_recorded_stays(services: Services, receiver: Receiver) -> None:
    webhook = subscribe(services, receiver)
    one_change(services)
    services.courier.make_messages()
    (due,) = deliveries.due(services.engine, webhook["id"], 10)
    deliveries.record(services.engine, webhook["id"], [([due], deliveries.Outcome(204))])
    deliveries.record(services.engine, webhook["id"], [([due], deliveries.Outcome(500, "The receiver answered 500."))])
    (row,) = messages(services, webhook)
    assert (row["status"], row["tries"], row["http_status"]) == ("DELIVERED", 1, 204)


def test_old_messages_and_deleted_webhooks_are_forgotten(services: Services, receiver: Receiver) -> None:
    kept, deleted = subscribe(services, receiver), subscribe(services, receiver)
    for _ in range(2):
        one_change(services)
    services.sweeper.sweep()
    services.webhooks.delete(deleted["id"])
    rows, first = db.table_of(Delivery), messages(services, kept)[0]["id"]
    with transaction(services.engine) as connection:
        old = db.now(connection) - timedelta(days=31)
        connection.execute(update(rows).where(rows.c.id == first).values(created_at=old))
        deliveries.forget_old(connection)
    assert len(messages(services, kept)) == 1
    assert stories.rows_of(services, Delivery)[0].webhook_id == kept["id"]
    assert [row.id for row in stories.rows_of(services, Webhook)] == [kept["id"]]


def test_a_test_says_what_happens(services: Services, receivers: Callable[..., Receiver]) -> None:
    answers: list[Any] = [Answer(), Answer(404)]
    receiver = receivers(lambda _: answers.pop(0))
    webhook = subscribe(services, receiver, "batch.paused")
    tried = services.webhooks.test(webhook["id"])
    assert (tried["delivered"], tried["http_status"], tried["error"]) == (True, 204, None)
    assert receiver.received[0].type == "webhook.test"
    assert receiver.ids == [tried["message_id"]]
    assert is_accepted(receiver.received[0], webhook["secret"])
    refused = services.webhooks.test(webhook["id"])
    assert (refused["delivered"], refused["http_status"]) == (False, 404)
    assert messages(services, webhook) == []


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:1/", "The connection failed: Connection refused."),
        ("http://no-such-host.invalid/", "The name in the URL has no address."),
    ],
)
def test_a_test_of_what_cannot_be_reached(services: Services, url: str, error: str) -> None:
    webhook = subscribe(services, url)
    assert services.webhooks.test(webhook["id"])["error"] == error
