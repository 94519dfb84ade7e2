"""Idempotency-Key: stores the first answer to a POST for 24 h, and returns it when the same call is repeated.

1. `claim` takes the key before anything is decided. Meanwhile, a second call with the key gets KeyInUse.
2. The answer is stored in the transaction of its effect: there is no effect without its answer.
3. If the process died before that, its claim had no effect. Another call takes it over once it is old.

Stored answers are encrypted with the caller's token, which is stored nowhere: the table reveals no secret. An answer
with content of a batch is erased when a document of the batch is, or the whole batch.
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app import db
from app.db import transaction
from app.errors import AnswerErased, KeyInUse, KeyReused
from app.models import IdempotencyKey

KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=2)  # no request takes that long: its process has died
_keys = db.table_of(IdempotencyKey)
_SALT = 16


@dataclass(frozen=True)
class StoredAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """A key that this request has taken; `secret` is the caller's token."""

    caller: str
    key: str
    claimed_at: datetime
    secret: str

    def store(self, connection: Connection, answer: StoredAnswer, batch_ids: Collection[int] = ()) -> None:
        """Store the answer in the transaction of its effect. Raises KeyInUse if another request took over the claim.

        `batch_ids` are the batches whose content the answer may have: it is erased with that content.
        """
        values = {
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": self._seal(answer.body),
            "batch_ids": "".join(f",{each}" for each in sorted(set(batch_ids))) + "," if batch_ids else None,
        }
        if connection.execute(self._mine(update(_keys)).values(values)).rowcount != 1:
            raise KeyInUse("Another request took over this Idempotency-Key.")

    def store_alone(self, engine: Engine, answer: StoredAnswer, batch_ids: Collection[int] = ()) -> None:
        """Store the answer of a request that had no effect, in a transaction of its own."""
        with transaction(engine) as connection:
            self.store(connection, answer, batch_ids)

    def drop(self, engine: Engine) -> None:
        """Release the key, because nothing was decided."""
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
    """Claim a key, or return the answer that is stored for it.

    Raises KeyReused if it came with another request, KeyInUse while the first request is being decided, AnswerErased.
    """
    with transaction(engine) as connection:
        now = db.now(connection)
        new = Claim(caller, key, now, secret)
        row = connection.execute(select(_keys).where(_keys.c.caller == caller, _keys.c.key == key)).one_or_none()
        if row is not None and (row.claimed_at < now - KEPT or _abandoned(row, now)):
            connection.execute(
                delete(_keys).where(_keys.c.caller == caller, _keys.c.key == key, _keys.c.claimed_at == row.claimed_at)
            )
            row = None
        if row is None:
            _insert(connection, new, fingerprint)
            return new
        if row.fingerprint != fingerprint:
            raise KeyReused("This Idempotency-Key was used with another request. Use a new key for a new request.")
        if row.status is None:
            raise KeyInUse("The first request with this Idempotency-Key is still being decided.")
        if row.body is None:
            raise AnswerErased("The first answer to this Idempotency-Key is not repeated: its content was erased.")
        return StoredAnswer(row.status, row.headers, _mask(row.body[_SALT:], secret, key, row.body[:_SALT]))


def _abandoned(row: Any, now: datetime) -> bool:
    return bool(row.status is None and row.claimed_at < now - ABANDONED)


def _insert(connection: Connection, new: Claim, fingerprint: str) -> None:
    values = {
        "caller": new.caller,
        "key": new.key,
        "fingerprint": fingerprint,
        "claimed_at": new.claimed_at,
    }
    try:
        connection.execute(insert(_keys), values)
    except IntegrityError as error:
        raise KeyInUse("The first request with this Idempotency-Key is still being decided.") from error


def forget_old(connection: Connection) -> None:
    """Delete the answers older than 24 h."""
    connection.execute(delete(_keys).where(_keys.c.claimed_at < db.now(connection) - KEPT))


def erase_answers(connection: Connection, batch_id: int) -> None:
    """Erase the answers that may have content of a batch. Their requests are not carried out again."""
    of_batch = _keys.c.batch_ids.contains(f",{batch_id},")
    connection.execute(update(_keys).where(of_batch).values(body=None))


def _mask(body: bytes, secret: str, key: str, salt: bytes) -> bytes:
    # A one-time pad from SHAKE256. Every answer has a new salt, so no pad is used twice.
    pad = hashlib.shake_256(b"\0".join((secret.encode(), key.encode(), salt))).digest(len(body))
    return (int.from_bytes(body, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(body), "big")
