"""Idempotency-Key: the first answer to a POST, kept for 24 h with its effect, and given again for the same call.

1. `claim` takes the key before anything is decided; a second caller meanwhile is told to wait (KeyInUse).
2. The answer is stored in the very transaction of the effect: an effect without its answer cannot be.
3. A claim whose process died before that has had no effect, and is taken over when it is old.

Answers are kept sealed with the caller's own token, which is stored nowhere: the table gives no secret away.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app import db
from app.db import transaction
from app.errors import KeyInUse, KeyReused
from app.models import IdempotencyKey

KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=2)  # no request takes longer: its process died
_keys = db.table_of(IdempotencyKey)
_SALT = 16


@dataclass(frozen=True)
class StoredAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """A key taken by this request; `secret` is the caller's token."""

    caller: str
    key: str
    claimed_at: datetime
    secret: str

    def store(self, connection: Connection, answer: StoredAnswer) -> None:
        """Keep the answer, in the transaction of its effect. Raises KeyInUse if the claim was taken over."""
        values = {"status": answer.status, "headers": dict(answer.headers), "body": self._seal(answer.body)}
        if connection.execute(self._mine(update(_keys)).values(values)).rowcount != 1:
            raise KeyInUse("Another request took this Idempotency-Key over.")

    def store_alone(self, engine: Engine, answer: StoredAnswer) -> None:
        """Keep the answer of a request that had no effect."""
        with transaction(engine) as connection:
            self.store(connection, answer)

    def drop(self, engine: Engine) -> None:
        """Give the key back: nothing was decided."""
        with transaction(engine) as connection:
            connection.execute(self._mine(delete(_keys)))

    def _mine(self, statement: Any) -> Any:
        return statement.where(
            _keys.c.caller == self.caller,
            _keys.c.key == self.key,
            _keys.c.claimed_at == self.claimed_at,
            _keys.c.status.is_(None),
        )

    def _seal(self, body: bytes) -> bytes:
        salt = secrets.token_bytes(_SALT)
        return salt + _mask(body, self.secret, self.key, salt)


def claim(engine: Engine, caller: str, key: str, fingerprint: str, secret: str) -> Claim | StoredAnswer:
    """Take a key, or find the answer that was given for it.

    Raises KeyReused when it came with another request, KeyInUse while the first is being decided.
    """
    with transaction(engine) as connection:
        now = db.now(connection)
        taken = Claim(caller, key, now, secret)
        row = connection.execute(select(_keys).where(_keys.c.caller == caller, _keys.c.key == key)).one_or_none()
        if row is not None and (row.claimed_at < now - KEPT or _abandoned(row, now)):
            connection.execute(
                delete(_keys).where(_keys.c.caller == caller, _keys.c.key == key, _keys.c.claimed_at == row.claimed_at)
            )
            row = None
        if row is None:
            _insert(connection, taken, fingerprint)
            return taken
        if row.fingerprint != fingerprint:
            raise KeyReused("This Idempotency-Key was used with another request: use a new key for a new request.")
        if row.status is None:
            raise KeyInUse("The first request with this Idempotency-Key is still being decided.")
        return StoredAnswer(row.status, row.headers, _mask(row.body[_SALT:], secret, key, row.body[:_SALT]))


def _abandoned(row: Any, now: datetime) -> bool:
    return bool(row.status is None and row.claimed_at < now - ABANDONED)


def _insert(connection: Connection, taken: Claim, fingerprint: str) -> None:
    values = {
        "caller": taken.caller,
        "key": taken.key,
        "fingerprint": fingerprint,
        "claimed_at": taken.claimed_at,
    }
    try:
        connection.execute(insert(_keys), values)
    except IntegrityError as error:
        raise KeyInUse("The first request with this Idempotency-Key is still being decided.") from error


def forget_old(connection: Connection) -> None:
    """Drop the answers that were kept long enough."""
    connection.execute(delete(_keys).where(_keys.c.claimed_at < db.now(connection) - KEPT))


def _mask(body: bytes, secret: str, key: str, salt: bytes) -> bytes:
    # A one-time pad from SHAKE256: the salt is fresh for every answer, so no pad is used twice.
    pad = hashlib.shake_256(b"\0".join((secret.encode(), key.encode(), salt))).digest(len(body))
    return (int.from_bytes(body, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(body), "big")
