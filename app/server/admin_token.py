"""The admin's token when ADMIN_TOKEN is unset: made at the first start, kept in a file that its owner alone reads."""

import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import replace

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
