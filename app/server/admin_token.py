"""The admin's token if ADMIN_TOKEN is not set: made at the first start, in a file that only its owner can read."""

import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import replace

from config import DATA_FOLDER, Config

KEPT_TOKEN = DATA_FOLDER / "admin-token"


def with_admin_token(config: Config) -> Config:
    """Set the admin token from its file if ADMIN_TOKEN is not set. The first start makes the file."""
    if config.admin_token:
        return config
    return replace(config, admin_token=read_admin_token() or _make_admin_token())


def read_admin_token() -> str | None:
    """Read the admin token that an earlier start wrote to the data folder; None if there is none."""
    try:
        return KEPT_TOKEN.read_text().strip() or None
    except FileNotFoundError:
        return None


def _make_admin_token() -> str:
    KEPT_TOKEN.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=KEPT_TOKEN.parent, prefix=".admin-token-") as draft:
        draft.write(f"{secrets.token_urlsafe(32)}\n")  # a temporary file has mode 0600 from the start
        draft.flush()
        with suppress(FileExistsError):  # another server started at the same time and was faster
            os.link(draft.name, KEPT_TOKEN)  # atomic: a half-written file is never read
    return KEPT_TOKEN.read_text().strip()
