"""A body of JSON lines: spooled, so that a large one lies on disk until its lines are read."""

import tempfile
from typing import IO

from flask import current_app, g, request

JSON_LINES = "application/jsonl"
TAKES_LINES = "batches.create"  # the endpoint whose body may be as large as MAX_JSONL_BYTES
SPOOL_BYTES = 4 * 1024 * 1024


def has_lines() -> bool:
    """Whether the present request is one that may carry JSON lines, and does."""
    return request.mimetype == JSON_LINES and request.endpoint == TAKES_LINES


def spooled_body() -> IO[bytes]:
    """Give the body as a file from its beginning; a large one lies on disk, and goes with the request."""
    if "spool" not in g:
        request.max_content_length = current_app.config["MAX_JSONL_BYTES"]
        spool = g.spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - see close_spool
        while chunk := request.stream.read(1024 * 1024):
            spool.write(chunk)
    found: IO[bytes] = g.spool
    found.seek(0)
    return found


def close_spool(_: BaseException | None) -> None:
    """End the file of the body with its request."""
    if spool := g.pop("spool", None):
        spool.close()
