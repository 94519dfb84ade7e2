"""Webhooks of the format apprise: what happened, in words, at most once in so many minutes, and nothing lost."""

import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from app import db
from app.db import transaction
from app.domain.webhook import digests
from app.errors import Invalid
from app.models import Webhook
from app.services import Services
from app.services.message import deliveries
from app.services.webhook import notifying
from tests.services import stories
from tests.support.forked.notifier import forked_notifier
from tests.support.mail_receiver import running_mail_receiver
from tests.support.receiver import Answer, Receiver
from tests.webhooks.subscriptions import let_tries_come, messages, subscribe, told_by

SECRET = "s3cr3t-pathpart"  # a part of the URL


@pytest.fixture(scope="module")
def forks() -> Iterator[SimpleNamespace]:
    with forked_notifier() as running:
        yield running


@pytest.fixture
def forked(forks: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what is sent and when: those of the process that sends it start a real one."""
    monkeypatch.setattr(notifying, "subprocess", forks)


def url_of(receiver: Receiver) -> str:
    return f"json://127.0.0.1:{receiver.port}/{SECRET}"


def digest(services: Services, url: str, *types: str, minutes: int = 5) -> dict[str, Any]:
    return subscribe(services, url, *types, format="apprise", digest_minutes=minutes)


def changes(services: Services, amount: int) -> list[str]:
    """Make changes; return the ids of their messages."""
    made = []
    for _ in range(amount):
        batch_id = stories.create(services)
        stories.act(services, batch_id, "stage")
        made.append(f"msg_{batch_id}_2")
    return made


def told(receiver: Receiver, digest_number: int) -> list[str]:
    """List the changes that a digest tells, by the ids of their messages."""
    return told_by(receiver.received[digest_number].json["message"])


def let_digests_come(services: Services) -> None:
    """Let the time between two digests be over."""
    rows = db.table_of(Webhook)
    with transaction(services.engine) as connection:
        connection.execute(update(rows).values(next_digest_at=db.now(connection) - timedelta(seconds=1)))


@pytest.mark.usefixtures("forked")
def test_at_most_one_in_so_many_minutes_which_tells_all(services: Services, receiver: Receiver) -> None:
    """The first change is told at once; those of the minutes after it are told together."""
    webhook = digest(services, url_of(receiver))
    first = changes(services, 1)
    services.sweeper.sweep()
    assert told(receiver, 0) == first
    assert receiver.received[0].json["title"] == "Interlock: batch.state_changed"
    later = changes(services, 3)
    services.sweeper.sweep()
    services.sweeper.sweep()
    assert len(receiver.received) == 1
    assert [each["status"] for each in messages(services, webhook, "PENDING")] == ["PENDING"] * 3
    let_digests_come(services)
    services.sweeper.sweep()
    services.sweeper.sweep()
    assert len(receiver.received) == 2
    assert told(receiver, 1) == later
    assert receiver.received[1].json["title"] == "Interlock: 3 messages"
    assert {each["status"] for each in messages(services, webhook)} == {"DELIVERED"}


@pytest.mark.usefixtures("forked")
def test_a_receiver_that_fails_loses_nothing(services: Services, receivers: Callable[..., Receiver]) -> None:
    """One try of a digest is one failure. What waits is told together when the receiver takes it."""
    broken = [True]
    receiver = receivers(lambda _: Answer(500 if broken[0] else 200))
    webhook = digest(services, url_of(receiver))
    made = changes(services, 2)
    services.sweeper.sweep()
    for row in messages(services, webhook):
        assert (row["status"], row["tries"], row["http_status"]) == ("PENDING", 1, None)
        assert "500" in row["error"]
        assert SECRET not in row["error"]
    assert services.webhooks.show(webhook["id"])["failures"] == 1
    made += changes(services, 1)
    services.sweeper.sweep()
    assert len(receiver.received) == 1  # the time between two digests counts after a failure, too
    broken[0] = False
    let_tries_come(services)
    let_digests_come(services)
    services.sweeper.sweep()
    assert told(receiver, 1) == made
    assert services.webhooks.show(webhook["id"])["failures"] == 0


@pytest.mark.usefixtures("forked")
def test_a_process_that_dies_before_it_wrote_what_it_sent_sends_it_again(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        """Stands for a process that dies."""

    def die(*_: Any) -> None:
        raise KilledError

    webhook = digest(services, url_of(receiver))
    made = changes(services, 2)
    services.courier.make_messages()
    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "record", die)
        with pytest.raises(KilledError):
            services.courier.send(inline=True)
    services.courier.send(inline=True)
    assert told(receiver, 0) == told(receiver, 1) == made
    assert {each["status"] for each in messages(services, webhook)} == {"DELIVERED"}


@pytest.mark.usefixtures("forked")
def test_more_than_goes_into_one_goes_into_the_next(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "MOST_MESSAGES", 2)
    monkeypatch.setattr(digests, "MOST_LINES", 1)
    digest(services, url_of(receiver))
    made = changes(services, 3)
    services.sweeper.sweep()
    assert told(receiver, 0) == made[:1]
    assert receiver.received[0].json["message"].endswith("\nAnd 1 batch.state_changed.")
    let_digests_come(services)
    services.sweeper.sweep()
    assert told(receiver, 1) == made[2:]


def test_by_mail(services: Services) -> None:
    with running_mail_receiver() as mails:
        url = (
            f"mailto://night:{SECRET}@127.0.0.1:{mails.port}/?from=night@example.com&to=jane@example.com&mode=insecure"
        )
        digest(services, url)
        (made,) = changes(services, 1)
        services.sweeper.sweep()
    (mail,) = mails.received
    assert mail["Subject"] == "Interlock: batch.state_changed"
    assert mail["To"] == "jane@example.com"
    text = "".join(str(part.get_payload(decode=True)) for part in mail.walk() if not part.is_multipart())
    assert made in told_by(text)


@pytest.mark.usefixtures("forked")
def test_its_secrets_are_shown_nowhere(
    services: Services, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook = digest(services, url_of(receiver))
    assert webhook["url"] == "json://127.0.0.1/..."
    changed = services.webhooks.change(webhook["id"], {"url": f"{url_of(receiver)}/more", "digest_minutes": 9})
    receiver.stop()
    tested = services.webhooks.test(webhook["id"])
    assert (tested["delivered"], tested["http_status"]) == (False, None)
    shown = [webhook, changed, tested, services.webhooks.show(webhook["id"]), services.webhooks.list()]
    assert changed["digest_minutes"] == 9
    assert "secret" not in webhook
    assert webhook["secrets"] == 0
    assert SECRET not in repr(shown) + caplog.text
    with pytest.raises(Invalid, match="has no secret"):
        services.webhooks.rotate(webhook["id"])
    services.webhooks.delete(webhook["id"])
    assert SECRET not in repr([row.url for row in stories.rows_of(services, Webhook)])


@pytest.mark.usefixtures("forked")
def test_a_slack_url_shows_nothing_but_its_schema(services: Services) -> None:
    webhook = digest(services, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    assert webhook["url"] == "slack://..."


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("slack://too/short", "apprise does not take this URL"),
        ("https://example.com/", "has to begin with one of discord://"),
        ("file:///etc/passwd", "has to begin with one of discord://"),
        ("syslog://", "has to begin with one of discord://"),
        ("json://example.com/?verify=no", "may have the parameters"),
        ("json://example.com/?redirect=yes", "may have the parameters"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?template=/etc/passwd", "may have the parameters"),
        ("json://10.0.0.1/", "private or reserved address"),
        ("json://167772161/", "private or reserved address"),
        ("jsons://[::1]/", "private or reserved address"),
        ("mailtos://night:pw@example.com/?smtp=169.254.169.254", "private or reserved address"),
    ],
)
def test_what_is_refused_when_it_is_given(services: Services, url: str, said: str) -> None:
    with pytest.raises(Invalid, match=re.escape(said)) as refused:
        digest(services, url)
    assert set(refused.value.facts["errors"]) == {"url"}


def test_other_formats_have_no_minutes(services: Services) -> None:
    with pytest.raises(Invalid, match="is for the format apprise"):
        subscribe(services, "https://example.com/", digest_minutes=5)


def test_a_private_address_is_refused_where_the_connection_is_made(receiver: Receiver) -> None:
    """Whatever a name leads to, and whichever library connects: the process that sends has a guard."""
    nobody = notifying.Notifier(notifying.Sender(()))
    for url in (
        f"json://localhost:{receiver.port}/",
        f"mailto://u:p@localhost:{receiver.port}/?to=a@b.de&mode=insecure",
    ):
        assert nobody.objection_to(url) is None
        refused = nobody.send([message(url)])
        assert "is a private or reserved address" in str(refused.error)
    assert receiver.received == []


def test_a_redirect_is_not_followed(services: Services, receivers: Callable[..., Receiver]) -> None:
    target = receivers()
    webhook = digest(services, url_of(receivers(lambda _: Answer(307, {"Location": target.url}))))
    assert services.webhooks.test(webhook["id"])["delivered"] is False
    assert target.received == []


def test_what_takes_too_long_is_ended(receivers: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "SECONDS", 0.01)
    notifier = notifying.Notifier(notifying.Sender(()))
    assert notifier.send([message("json://example.com/")]).error == "It was not sent within 0 s."


def message(url: str) -> deliveries.DueDelivery:
    body = {"type": "webhook.test", "timestamp": "2026-11-26T02:14:07Z", "data": {"webhook_id": 1}}
    return deliveries.DueDelivery(1, 1, "msg_test_1", body, 0, url, [], 5)
