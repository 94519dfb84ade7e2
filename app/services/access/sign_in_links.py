"""Links that sign in as admin, each usable once: for people who can start the service, and so may do everything."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import Engine, delete, insert

from app import db
from app.db import transaction
from app.models import SignInLink

GOOD_FOR = timedelta(hours=1)

_links = db.table_of(SignInLink)


class SignInLinks:
    """The unused sign-in links of a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self) -> str:
        """Make a link's code, which can be used once within an hour. The database has only its hash."""
        code = secrets.token_urlsafe(24)
        with transaction(self._engine) as connection:
            now = db.now(connection)
            connection.execute(delete(_links).where(_links.c.expires_at <= now))
            connection.execute(insert(_links).values(sha256=_hash(code), expires_at=now + GOOD_FOR))
        return code

    def use(self, code: str) -> bool:
        """Use up a code; return whether it was valid. Of two simultaneous uses, only one returns True."""
        with transaction(self._engine) as connection:
            unused = delete(_links).where(_links.c.sha256 == _hash(code), _links.c.expires_at > db.now(connection))
            return connection.execute(unused).rowcount == 1


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
