"""The two tokens that exist before anybody asks for one: the admin's and the embedded worker's."""

import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from app.errors import Busy, Unavailable
from app.services import build
from app.services.tokens import TokenStore
from config import VAR, Config

ADMIN_TOKEN_FILE = VAR / "admin-token"


def with_admin_token(config: Config) -> Config:
    """Fill in the admin token from its file when ADMIN_TOKEN is unset; the first start makes the file."""
    if config.admin_token:
        return config
    return replace(config, admin_token=read_admin_token() or _make_admin_token())


def read_admin_token() -> str | None:
    """Read the admin token that an earlier start left in ./var, or None."""
    try:
        return ADMIN_TOKEN_FILE.read_text().strip() or None
    except FileNotFoundError:
        return None


def _make_admin_token() -> str:
    ADMIN_TOKEN_FILE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=ADMIN_TOKEN_FILE.parent, prefix=".admin-token-") as draft:
        draft.write(f"{secrets.token_urlsafe(32)}\n")  # the draft's mode is 0600 from the start
        draft.flush()
        with suppress(FileExistsError):  # of two servers that start at once, one wins
            os.link(draft.name, ADMIN_TOKEN_FILE)  # whole or not at all
    return ADMIN_TOKEN_FILE.read_text().strip()


def worker_token(config: Config) -> str:
    """Make a fresh token for the embedded worker of this server, and revoke one that its last run left."""
    with _tokens(config) as tokens:
        _revoke(tokens, _worker_name(config))
        return str(tokens.create(_worker_name(config), "worker")["token"])


def revoke_worker_token(config: Config) -> None:
    """Revoke the token of the embedded worker, which is gone. If that fails, the next start does it."""
    with suppress(Busy, Unavailable), _tokens(config) as tokens:
        _revoke(tokens, _worker_name(config))


def each_token(tokens: TokenStore) -> Iterator[dict[str, Any]]:
    """List every token that is not revoked, page by page."""
    after = 0
    while page := tokens.list(limit=200, after=after):
        yield from page
        after = page[-1]["id"]


def _worker_name(config: Config) -> str:
    # Two servers on one database have a worker each: a name says whose it is.
    return f"embedded-worker@{socket.gethostname()[:60]}:{config.port}"


@contextmanager
def _tokens(config: Config) -> Iterator[TokenStore]:
    services = build(config)
    try:
        yield services.tokens
    finally:
        services.engine.dispose()  # its connections must not be shared across the fork


def _revoke(tokens: TokenStore, name: str) -> None:
    for row in each_token(tokens):
        if row["name"] == name:
            tokens.revoke(row["id"])
