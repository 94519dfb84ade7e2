"""Sessions of the pages: each belongs to one token of one database, lasts 12 hours, and ends with the sign-out.

A cookie alone can be copied, and signed anew for ever. So the cookie has only a secret, and the database has its hash.
"""

import secrets
from datetime import timedelta

from sqlalchemy import Connection, Engine, and_, bindparam, delete, insert, literal, or_, select
from sqlalchemy.sql.functions import coalesce

from app import db
from app.db import transaction
from app.domain.roles import Role
from app.models import PageSession
from app.prepared_statements import Prepared
from app.services.access.tokens import ADMIN, ADMIN_ID, IS_LIVE, TOKENS, Caller, TokenStore, hash_of

LASTS = timedelta(hours=12)

_sessions = db.table_of(PageSession)
_HOLDER = Prepared(
    "session_holder",
    select(
        _sessions.c.token_id.label("id"),
        coalesce(TOKENS.c.name, literal(ADMIN)).label("name"),
        coalesce(TOKENS.c.role, literal(str(Role.ADMIN))).label("role"),
    )
    .select_from(_sessions.outerjoin(TOKENS, and_(TOKENS.c.id == _sessions.c.token_id, IS_LIVE)))
    .where(
        _sessions.c.sha256 == bindparam("key"),
        _sessions.c.expires_at > bindparam("now", type_=db.UtcTime),
        or_(_sessions.c.token_id == ADMIN_ID, TOKENS.c.id.is_not(None)),
    ),
)


class Sessions:
    """The sessions of a database."""

    def __init__(self, engine: Engine, tokens: TokenStore) -> None:
        self._engine = engine
        self._tokens = tokens

    def begin(self, caller: Caller) -> str:
        """Begin a session of a caller; return its secret, of which the database has only the hash."""
        secret = secrets.token_urlsafe(24)
        with transaction(self._engine) as connection:
            expires_at = db.now(connection) + LASTS
            values = {"sha256": hash_of(secret), "token_id": caller.token_id, "expires_at": expires_at}
            connection.execute(insert(_sessions), values)
        return secret

    def holder(self, secret: str) -> Caller | None:
        """Find who has this session; None if it has ended, or if its token was revoked or has expired."""
        caller = self._tokens.find(_HOLDER, hash_of(secret))
        return self._tokens.admin() if caller and caller.token_id == ADMIN_ID else caller

    def end(self, secret: str) -> None:
        """End a session: within a second, every process refuses it."""
        with transaction(self._engine) as connection:
            connection.execute(delete(_sessions).where(_sessions.c.sha256 == hash_of(secret)))
        self._tokens.forget(hash_of(secret))


def forget_old(connection: Connection) -> None:
    """Delete the sessions that are over."""
    connection.execute(delete(_sessions).where(_sessions.c.expires_at <= db.now(connection)))
