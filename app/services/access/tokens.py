"""API tokens: create, look up, list, revoke. The database has only the hash of a token's secret."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app import db
from app.db import reading, transaction
from app.domain.roles import SYSTEM, Role
from app.domain.times import rfc3339
from app.errors import Invalid, NotFound
from app.models import ApiToken
from app.prepared_statements import Prepared

log = structlog.get_logger()

PREFIX = "ilk_"
TRUSTED_SECONDS = 0.5  # within a second, every process refuses a revoked token
MOST_TRUSTED = 10_000
REVOKED_KEPT = timedelta(days=30)
ADMIN = "admin"  # the name of the caller with ADMIN_TOKEN
ADMIN_ID = 0  # the id of ADMIN_TOKEN, which is not in the database

TOKENS = _tokens = db.table_of(ApiToken)
IS_LIVE = and_(
    _tokens.c.revoked_at.is_(None),
    or_(_tokens.c.expires_at.is_(None), _tokens.c.expires_at > bindparam("now", type_=db.UtcTime)),
)
_BY_HASH = Prepared(
    "token_by_hash",
    select(_tokens.c.id, _tokens.c.name, _tokens.c.role).where(IS_LIVE, _tokens.c.sha256 == bindparam("key")),
)


@dataclass(frozen=True)
class Caller:
    """Who calls; `name`, the token's name, is the actor in the audit trail."""

    name: str
    role: Role
    token_id: int = ADMIN_ID


class TokenStore:
    """The tokens of a database, and ADMIN_TOKEN of the settings."""

    def __init__(self, engine: Engine, now: Callable[[], datetime], admin_token: str | None = None) -> None:
        self._engine = engine
        self._now = now  # by the database's clock
        self._admin = hash_of(admin_token) if admin_token else None
        self._trusted: dict[str, tuple[Caller, float]] = {}

    def caller(self, secret: str) -> Caller | None:
        """Find the caller with this secret; None if it is unknown, expired or revoked."""
        sha256 = hash_of(secret)
        if self._admin and compare_digest(sha256, self._admin):
            return self.admin()
        return self.find(_BY_HASH, sha256)

    def admin(self) -> Caller | None:
        """Return the caller with ADMIN_TOKEN; None if it is not set."""
        return Caller(ADMIN, Role.ADMIN) if self._admin else None

    def forget(self, key: str) -> None:
        """Look up anew what was found by this key."""
        self._trusted.pop(key, None)

    def find(self, statement: Prepared, key: str) -> Caller | None:
        """Find the caller whom `statement` gives for a key, which is a hash; trust it for TRUSTED_SECONDS."""
        trusted = self._trusted.get(key)
        if trusted and time.monotonic() - trusted[1] < TRUSTED_SECONDS:
            return trusted[0]
        looked_up_at = time.monotonic()
        with reading(self._engine) as connection:
            row = statement.row(connection, key=key, now=self._now())
        if row is None:
            self._trusted.pop(key, None)
            return None
        caller = Caller(row.name, Role(row.role), row.id)
        if len(self._trusted) >= MOST_TRUSTED:
            self._trusted.clear()
        self._trusted[key] = (caller, looked_up_at)
        return caller

    def create(
        self, name: str, role: str, expires_at: datetime | None = None, record: Any = None, actor: str = SYSTEM
    ) -> dict[str, Any]:
        """Create a token; only this answer has its secret, in `token`. Raises Invalid."""
        if name == ADMIN or name.split(":")[0] == SYSTEM:
            raise Invalid(f"The name {name!r} is reserved for the service.", errors={"name": ["is reserved"]})
        secret = PREFIX + secrets.token_urlsafe(32)
        with transaction(self._engine) as connection:
            now = db.now(connection)
            if expires_at is not None and expires_at <= now:
                raise Invalid("expires_at is in the past.", errors={"expires_at": ["is in the past"]})
            values = {
                "name": name,
                "role": Role(role),
                "sha256": hash_of(secret),
                "created_at": now,
                "expires_at": expires_at,
            }
            try:
                token_id: int = connection.execute(insert(_tokens).returning(_tokens.c.id), values).scalar_one()
            except IntegrityError as error:
                raise Invalid(f"Another token has the name {name!r}.", errors={"name": ["is in use"]}) from error
            answer = {**_view(token_id, name, role, now, expires_at), "token": secret}
            if record:
                record(connection, answer)
        log.info("token_created", token_id=token_id, name=name, role=role, actor=actor)
        return answer

    def list(self, limit: int = 50, after: int = 0) -> list[dict[str, Any]]:
        """List up to `limit` tokens that are not revoked, without secrets, in the order of ids, from `after` on."""
        statement = (
            select(_tokens)
            .where(_tokens.c.revoked_at.is_(None), _tokens.c.id > after)
            .order_by(_tokens.c.id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [
                _view(row.id, row.name, row.role, row.created_at, row.expires_at)
                for row in connection.execute(statement)
            ]

    def revoke(self, token_id: int, actor: str = SYSTEM) -> None:
        """Revoke a token: within a second, every process refuses it. Raises NotFound."""
        with transaction(self._engine) as connection:
            statement = (
                update(_tokens)
                .where(_tokens.c.id == token_id, _tokens.c.revoked_at.is_(None))
                .values(revoked_at=db.now(connection))
            )
            if connection.execute(statement).rowcount != 1:
                raise NotFound("token", token_id)
        log.info("token_revoked", token_id=token_id, actor=actor)
        self._trusted.clear()


def forget_old(connection: Connection) -> None:
    """Delete the tokens that were revoked 30 days ago. Audit rows have their names."""
    connection.execute(delete(_tokens).where(_tokens.c.revoked_at < db.now(connection) - REVOKED_KEPT))


def hash_of(secret: str) -> str:
    """Hash a secret as the database has it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _view(token_id: int, name: str, role: str, created_at: datetime, expires_at: datetime | None) -> dict[str, Any]:
    return {
        "id": token_id,
        "name": name,
        "role": role,
        "created_at": rfc3339(created_at),
        "expires_at": rfc3339(expires_at),
    }
