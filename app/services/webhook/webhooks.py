"""Webhooks: create, list, show, change, rotate, test, replay, delete. Their secrets are shown once."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy import Connection, Engine, func, insert, select, text, update

from app import db
from app.db import reading, retry_while_locked, transaction
from app.domain.roles import SYSTEM
from app.domain.times import rfc3339
from app.domain.webhook import digests
from app.domain.webhook.message_types import OPENAI_TYPES, TEST, Format
from app.domain.webhook.notification_urls import masked
from app.domain.webhook.signatures import ROTATION_SECONDS, new_secret
from app.errors import Busy, Invalid, NotFound
from app.models import Webhook
from app.services.message import deliveries, messages, outbox
from app.services.message.deliveries import DueDelivery, secrets_in_force
from app.services.webhook.notifying import Notifier
from app.services.webhook.sending import Sender

MOST_WEBHOOKS = 32
MOST_SECRETS = 10  # that sign at a time, while secrets are replaced
TESTS_AT_ONCE = 2  # in one process: each holds a thread of the server

_webhooks = db.table_of(Webhook)
_LIVE = select(_webhooks).where(_webhooks.c.deleted_at.is_(None)).order_by(_webhooks.c.id)
# Those who change webhooks do it one after the other: whether another one is enabled decides where messages begin.
_LOCK = text("LOCK TABLE webhooks IN SHARE ROW EXCLUSIVE MODE")
T = TypeVar("T")
Record = Callable[[Connection, Any], None]

log = structlog.get_logger()


class Webhooks:
    """The webhooks of a database."""

    def __init__(self, engine: Engine, sender: Sender, notifier: Notifier) -> None:
        self._engine = engine
        self._sender = sender
        self._notifier = notifier
        self._tests = threading.BoundedSemaphore(TESTS_AT_ONCE)

    def create(self, given: Mapping[str, Any], record: Record | None = None, actor: str = SYSTEM) -> dict[str, Any]:
        """Create a webhook; only this answer has its secret. It gets messages from now on. Raises Invalid."""
        is_digest = given["format"] == Format.APPRISE
        if is_digest:
            given = {**given, "digest_minutes": given.get("digest_minutes") or digests.DEFAULT_MINUTES}
        self._check(given)
        if is_digest:
            self._ask_apprise(given["url"])
        secret = "" if is_digest else new_secret()

        def make(connection: Connection) -> dict[str, Any]:
            if connection.execute(select(func.count()).select_from(_LIVE.subquery())).scalar_one() >= MOST_WEBHOOKS:
                raise Invalid(f"There are {MOST_WEBHOOKS} webhooks, which is the most.")
            _begin_if_first(connection)
            values = {**given, "secret": secret, "earlier_secrets": [], "enabled": True, "failures": 0}
            values["created_at"] = values["gets_since"] = db.now(connection)
            row = connection.execute(insert(_webhooks).values(values).returning(_webhooks)).one()
            shown = {"secret": secret} if secret else {}
            return _recorded(connection, {**_view(row, values["created_at"], 0), **shown}, record)

        made = self._changing(make)
        log.info("webhook_created", webhook_id=made["id"], actor=actor)
        return made

    def show(self, webhook_id: int) -> dict[str, Any]:
        """Show a webhook, without its secret. Raises NotFound."""
        with reading(self._engine) as connection:
            return _views(connection, [_found(connection, webhook_id)])[0]

    def change(self, webhook_id: int, given: Mapping[str, Any], actor: str = SYSTEM) -> dict[str, Any]:
        """Change what is given. Enabled again, it gets messages from then on. Raises NotFound, Invalid."""
        if "url" in given:
            with reading(self._engine) as connection:
                its_format = _found(connection, webhook_id).format
            self._check_url(given["url"], its_format)
            if its_format == Format.APPRISE:
                self._ask_apprise(given["url"])

        def make(connection: Connection) -> dict[str, Any]:
            row = _found(connection, webhook_id)
            fields = ("url", "types", "format", "digest_minutes")
            self._check({**{name: getattr(row, name) for name in fields}, **given})
            values = dict(given)
            if "digest_minutes" in given:
                values |= {"next_digest_at": None}
            if {"types", "enabled"} & given.keys():
                values |= {"gets_since": db.now(connection)}
            if given.get("enabled") and not row.enabled:
                _begin_if_first(connection)
                values |= {"disabled_reason": None, "failures": 0}
            connection.execute(update(_webhooks).where(_webhooks.c.id == webhook_id).values(values))
            return _views(connection, [_found(connection, webhook_id)])[0]

        shown = self._changing(make)
        log.info("webhook_changed", webhook_id=webhook_id, fields=sorted(given), actor=actor)
        return shown

    def delete(self, webhook_id: int, actor: str = SYSTEM) -> None:
        """Delete a webhook: nothing more is sent to it. The sweeper deletes its messages. Raises NotFound."""

        def make(connection: Connection) -> None:
            url = _shown_url(_found(connection, webhook_id))
            values = {"deleted_at": db.now(connection), "enabled": False}
            values |= {"url": url, "secret": "", "earlier_secrets": []}
            connection.execute(update(_webhooks).where(_webhooks.c.id == webhook_id).values(values))

        self._changing(make)
        log.info("webhook_deleted", webhook_id=webhook_id, actor=actor)

    def rotate(self, webhook_id: int, record: Record | None = None, actor: str = SYSTEM) -> dict[str, Any]:
        """Make a new secret, which only this answer has; the one before it signs for another day. Raises NotFound."""
        secret = new_secret()

        def make(connection: Connection) -> dict[str, Any]:
            row, now = _found(connection, webhook_id), db.now(connection)
            if not row.secret:
                raise Invalid("A webhook of the format apprise has no secret: nothing is signed.")
            until = rfc3339(now + timedelta(seconds=ROTATION_SECONDS))
            in_force = [each for each in row.earlier_secrets if datetime.fromisoformat(each["until"]) > now]
            earlier = [{"secret": row.secret, "until": until}, *in_force]
            if len(earlier) >= MOST_SECRETS:
                raise Invalid(f"{MOST_SECRETS} secrets sign already: wait until the earliest of them has ended.")
            changed = update(_webhooks).where(_webhooks.c.id == webhook_id)
            connection.execute(changed.values(secret=secret, earlier_secrets=earlier))
            (view,) = _views(connection, [_found(connection, webhook_id)])
            return _recorded(connection, {**view, "secret": secret}, record)

        answer = self._changing(make)
        log.info("webhook_rotated", webhook_id=webhook_id, actor=actor)
        return answer

    def test(self, webhook_id: int) -> dict[str, Any]:
        """Send a message of the type `webhook.test` now, and say what became of it. Raises NotFound, Busy."""
        with reading(self._engine) as connection:
            row, now = _found(connection, webhook_id), db.now(connection)
        body = messages.standard_body(TEST, now, {"webhook_id": webhook_id})
        secrets = secrets_in_force(row.secret, row.earlier_secrets, now)
        message = DueDelivery(0, webhook_id, f"msg_test_{uuid4().hex}", body, 0, row.url, secrets)
        if not self._tests.acquire(blocking=False):
            raise Busy(f"{TESTS_AT_ONCE} webhooks are being tested.")
        try:
            begun = time.monotonic()
            is_digest = row.format == Format.APPRISE
            outcome = self._notifier.send([message]) if is_digest else self._sender.send(message)
            seconds = time.monotonic() - begun
        finally:
            self._tests.release()
        return {
            "delivered": outcome.is_delivered,
            "message_id": message.message_id,
            "http_status": outcome.http_status,
            "error": outcome.error,
            "duration_ms": round(seconds * 1000),
        }

    def deliveries(
        self, webhook_id: int, limit: int = 50, before: int | None = None, status: str | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Give a page of a webhook's messages, newest first, and the cursor of the next page. Raises NotFound."""
        self.show(webhook_id)
        return deliveries.page(self._engine, webhook_id, limit, before, status)

    def replay(
        self,
        webhook_id: int,
        message_ids: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        record: Record | None = None,
    ) -> dict[str, Any]:
        """Send messages again: those with these ids, or those that failed from a time on. Raises NotFound."""
        with transaction(self._engine) as connection:
            _found(connection, webhook_id)
            amount = deliveries.replay(connection, webhook_id, message_ids, since, until)
            return _recorded(connection, {"replayed": amount}, record)

    def list(self, limit: int = 50, after: int = 0) -> list[dict[str, Any]]:
        """List up to `limit` webhooks, without secrets, in the order of ids, from `after` on."""
        with reading(self._engine) as connection:
            rows = connection.execute(_LIVE.where(_webhooks.c.id > after).limit(limit)).all()
            return _views(connection, rows)

    def _check(self, given: Mapping[str, Any]) -> None:
        self._check_url(given["url"], given["format"])
        if given["format"] != Format.APPRISE and given.get("digest_minutes") is not None:
            raise _invalid("digest_minutes", "is for the format apprise")
        if given["format"] == Format.OPENAI and set(given["types"]) - set(OPENAI_TYPES):
            raise _invalid("types", f"of the format openai are {', '.join(OPENAI_TYPES)}")

    def _check_url(self, url: str, its_format: str) -> None:
        checks = self._notifier if its_format == Format.APPRISE else self._sender
        if objection := checks.objection_to(url):
            raise _invalid("url", objection)

    def _ask_apprise(self, url: str) -> None:
        """Check the details that only apprise knows. It takes a second, so no transaction is open meanwhile."""
        if objection := self._notifier.refusal_of(url):
            raise _invalid("url", objection.rstrip("."))

    def _changing(self, make: Callable[[Connection], T]) -> T:
        def locked() -> T:
            with transaction(self._engine) as connection:
                if db.is_postgresql(connection):
                    connection.execute(_LOCK)
                return make(connection)

        return retry_while_locked(locked)


def _invalid(field: str, objection: str) -> Invalid:
    return Invalid(f"{field} {objection}.", errors={field: [objection]})


def _begin_if_first(connection: Connection) -> None:
    if connection.execute(select(_webhooks.c.id).where(_webhooks.c.enabled).limit(1)).first() is None:
        outbox.begin_now(connection)


def _found(connection: Connection, webhook_id: int) -> Any:
    row = connection.execute(_LIVE.where(_webhooks.c.id == webhook_id)).one_or_none()
    if row is None:
        raise NotFound("webhook", webhook_id)
    return row


def _recorded(connection: Connection, answer: dict[str, Any], record: Record | None) -> dict[str, Any]:
    if record:
        record(connection, answer)
    return answer


def _views(connection: Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    now, waiting = db.now(connection), deliveries.waiting(connection, [row.id for row in rows])
    return [_view(row, now, waiting.get(row.id, 0)) for row in rows]


def _shown_url(row: Any) -> str:
    """Give what may be shown of a webhook's URL: one of apprise holds its secrets."""
    url: str = row.url
    return masked(url) if row.format == Format.APPRISE else url


def _view(row: Any, now: datetime, waiting: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": _shown_url(row),
        "description": row.description,
        "types": row.types,
        "format": row.format,
        "digest_minutes": row.digest_minutes,
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason,
        "secrets": len(secrets_in_force(row.secret, row.earlier_secrets, now)) if row.secret else 0,
        "waiting": waiting,
        "failures": row.failures,
        "failure": row.failure,
        "failed_at": rfc3339(row.failed_at),
        "delivered_at": rfc3339(row.delivered_at),
        "created_at": rfc3339(row.created_at),
    }
