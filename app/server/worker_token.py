"""The token of the embedded worker: made when its server starts, revoked when it stops."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from app.errors import Busy, Unavailable
from app.services import build
from app.services.access.tokens import TokenStore
from config import Config


def worker_token(config: Config) -> str:
    """Make a new token for the embedded worker of this server, and revoke any token of an earlier run."""
    with _tokens(config) as tokens:
        _revoke(tokens, _worker_name(config))
        return str(tokens.create(_worker_name(config), "worker")["token"])


def revoke_worker_token(config: Config) -> None:
    """Revoke the token of the embedded worker, which has ended. If that fails, the next start revokes it."""
    with suppress(Busy, Unavailable), _tokens(config) as tokens:
        _revoke(tokens, _worker_name(config))


def each_token(tokens: TokenStore) -> Iterator[dict[str, Any]]:
    """Yield every token that is not revoked. Reads them page by page."""
    after = 0
    while page := tokens.list(limit=200, after=after):
        yield from page
        after = page[-1]["id"]


def _worker_name(config: Config) -> str:
    # Two servers may use one database: the name says whose worker it is.
    return f"embedded-worker@{socket.gethostname()[:60]}:{config.port}"


@contextmanager
def _tokens(config: Config) -> Iterator[TokenStore]:
    services = build(config)
    try:
        yield services.tokens
    finally:
        services.engine.dispose()  # processes must not share its connections after a fork


def _revoke(tokens: TokenStore, name: str) -> None:
    for row in each_token(tokens):
        if row["name"] == name:
            tokens.revoke(row["id"])
