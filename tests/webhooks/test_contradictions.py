"""What `verify` finds about messages: one without its change, a change without its message, a place that is ahead."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from app import db
from app.db import transaction
from app.models import AuditRow, Delivery, MessagePlace, Webhook
from app.services import Services
from app.services.message import contradictions
from app.services.upkeep.verify import verify
from tests.services import stories
from tests.support.receiver import Receiver
from tests.webhooks.subscriptions import subscribe


@pytest.fixture
def told(services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> int:
    """A batch whose changes were told to a webhook that gets all; return its id."""
    monkeypatch.setattr(contradictions, "MARGIN", timedelta(0))
    subscribe(services, receiver)
    batch_id = stories.create(services)
    list(stories.walk(services, batch_id, "stage * run pause resume *"))
    services.sweeper.sweep()
    assert list(verify(services.engine)) == []
    return batch_id


def sentence(invariant: str, batch_id: int) -> list[str]:
    return [f"Broken: {invariant}: batches {batch_id}"]


def test_a_change_without_its_message(services: Services, told: int) -> None:
    rows = db.table_of(Delivery)
    with transaction(services.engine) as connection:
        lost = connection.execute(select(rows).where(rows.c.batch_id == told, rows.c.version == 3)).mappings().one()
        connection.execute(delete(rows).where(rows.c.id == lost["id"]))
    assert list(verify(services.engine)) == sentence(contradictions.WITHOUT_MESSAGE, told)
    with transaction(services.engine) as connection:
        connection.execute(insert(rows).values(dict(lost)))


def test_a_webhook_gets_what_happens_from_a_time_on(services: Services, told: int, receiver: Receiver) -> None:
    """Its creation, and the last change of its types or of `enabled`: what was before it is not missed."""
    second = subscribe(services, receiver)
    services.webhooks.change(second["id"], {"enabled": False})
    stories.act(services, told, "reset")
    services.sweeper.sweep()
    services.webhooks.change(second["id"], {"enabled": True})
    assert list(verify(services.engine)) == []
    webhooks, audit = db.table_of(Webhook), db.table_of(AuditRow)
    with transaction(services.engine) as connection:
        first = connection.execute(select(audit.c.at).where(audit.c.batch_id == told).order_by(audit.c.version)).first()
        assert first is not None
        before = update(webhooks).where(webhooks.c.id == second["id"]).values(gets_since=first.at)
        since = connection.execute(select(webhooks.c.gets_since).where(webhooks.c.id == second["id"])).scalar_one()
        connection.execute(before)
    assert list(verify(services.engine)) == sentence(contradictions.WITHOUT_MESSAGE, told)
    with transaction(services.engine) as connection:
        connection.execute(update(webhooks).values(gets_since=since))


def test_a_message_without_its_change(services: Services, told: int) -> None:
    rows = db.table_of(Delivery)
    with transaction(services.engine) as connection:
        one = connection.execute(select(rows).where(rows.c.batch_id == told).limit(1)).mappings().one()
        values = {**one, "message_id": f"msg_{told}_99", "version": 99}
        del values["id"]
        connection.execute(insert(rows).values(values))
    assert list(verify(services.engine)) == sentence(contradictions.WITHOUT_CHANGE, told)
    with transaction(services.engine) as connection:
        connection.execute(delete(rows).where(rows.c.version == 99))


def test_a_place_that_is_ahead(services: Services, told: int) -> None:
    """From there, changes would get no messages until the batch has reached that version."""
    places = db.table_of(MessagePlace)
    ahead, back = (update(places).values(version=places.c.version + by) for by in (1, -1))
    with transaction(services.engine) as connection:
        connection.execute(ahead)
    assert list(verify(services.engine)) == sentence(contradictions.AHEAD, told)
    with transaction(services.engine) as connection:
        connection.execute(back)
