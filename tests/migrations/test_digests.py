"""Migration 0018: webhooks and their messages stay; on SQLite their tables are made anew."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, MetaData, insert, inspect, select
from sqlalchemy.exc import IntegrityError

from app.schema import migrate
from tests.migrations.conftest import MigratedTo

NOW = datetime.now(UTC)
WEBHOOK = {
    "url": "https://example.com/", "types": ["batch.failed"], "format": "openai", "secret": "whsec_AAAA",
    "earlier_secrets": [], "enabled": True, "failures": 0, "created_at": NOW,
}  # fmt: skip
DELIVERY = {
    "message_id": "msg_1_2", "type": "batch.failed", "body": {}, "status": "DELIVERED", "tries": 1, "created_at": NOW,
}  # fmt: skip


@pytest.fixture
def engine(migrated_to: MigratedTo) -> Engine:
    return migrated_to("0017")


def tables(engine: Engine) -> Any:
    found = MetaData()
    found.reflect(engine, only=["webhooks", "deliveries"])
    return found.tables


def indexes(engine: Engine) -> list[str]:
    return sorted(str(each["name"]) for each in inspect(engine).get_indexes("deliveries"))


def subscribe(connection: Connection, of: Any, **more: Any) -> int:
    made = connection.execute(insert(of["webhooks"]).values({**WEBHOOK, **more}).returning(of["webhooks"].c.id))
    return int(made.scalar_one())


def test_what_is_there_stays_up_and_down(engine: Engine) -> None:
    of, url = tables(engine), str(engine.url.render_as_string(hide_password=False))
    with engine.begin() as connection:
        kept = subscribe(connection, of)
        connection.execute(insert(of["deliveries"]).values(**DELIVERY, webhook_id=kept))
        before = [connection.execute(select(of[name])).mappings().all() for name in ("webhooks", "deliveries")]
    indexed = indexes(engine)
    migrate(url)
    of = tables(engine)
    with engine.begin() as connection:
        digested = subscribe(connection, of, format="apprise", digest_minutes=5)
        connection.execute(insert(of["deliveries"]).values(**DELIVERY, webhook_id=digested))
    for wrong in ({"format": "apprise"}, {"digest_minutes": 5}, {"format": "xml"}):
        with pytest.raises(IntegrityError), engine.begin() as connection:
            subscribe(connection, of, **wrong)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(of["deliveries"]).values(**DELIVERY, webhook_id=99))
    assert indexes(engine) == indexed
    migrate(url, "0017", downgrade=True)
    of = tables(engine)
    with engine.begin() as connection:
        after = [connection.execute(select(of[name])).mappings().all() for name in ("webhooks", "deliveries")]
        assert after == before
    with pytest.raises(IntegrityError), engine.begin() as connection:
        subscribe(connection, of, format="apprise")
    assert indexes(engine) == indexed
