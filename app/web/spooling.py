"""Large bodies: written to a temporary file as they arrive, so that they need not fit into memory."""

import tempfile
from typing import IO

from flask import Flask, current_app, g, request

SPOOL_BYTES = 4 * 1024 * 1024  # a smaller body stays in memory
_CHUNK_BYTES = 1024 * 1024


def register(app: Flask) -> None:
    """Close the file of a body at the end of its request."""
    app.teardown_request(_close)


def spooled_body() -> IO[bytes]:
    """Return the request's body as a file at its beginning; the body may have up to MAX_JSONL_BYTES.

    The first call reads the body; it raises RequestEntityTooLarge.
    """
    if "spool" not in g:
        request.max_content_length = current_app.config["MAX_JSONL_BYTES"]
        spool = g.spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by _close
        while chunk := request.stream.read(_CHUNK_BYTES):
            spool.write(chunk)
    body: IO[bytes] = g.spool
    body.seek(0)
    return body


def _close(_: BaseException | None) -> None:
    if spool := g.pop("spool", None):
        spool.close()
