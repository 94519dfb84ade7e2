"""Bodies and answers in temporary files, so that they need not fit into memory."""

import tempfile
from collections.abc import Iterator
from itertools import chain
from typing import IO

from flask import Flask, Response, current_app, g, request
from werkzeug.wsgi import wrap_file

from app.web import large_bodies
from app.web.content_encoding import uncompressed

SPOOL_BYTES = 4 * 1024 * 1024  # a smaller body stays in memory


def register(app: Flask) -> None:
    """Close the file of a body at the end of its request."""
    app.teardown_request(_close)


def spooled_body() -> IO[bytes]:
    """Return the request's body, uncompressed, as a file at its beginning; it may have up to MAX_JSONL_BYTES.

    The first call reads the body; it raises RequestEntityTooLarge, UnsupportedMediaType, Invalid.
    """
    if "spool" not in g:
        large_bodies.is_in_a_file()
        most_bytes: int = current_app.config["MAX_JSONL_BYTES"]
        request.max_content_length = most_bytes
        spool = g.spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by _close
        for chunk in uncompressed(most_bytes):
            spool.write(chunk)
    body: IO[bytes] = g.spool
    body.seek(0)
    return body


def spooled_answer(pieces: Iterator[bytes], content_type: str) -> Response:
    """Answer with `pieces`, which are taken before the answer begins, so that no thread waits for its reader.

    More than one piece is written to a file, which the server sends and closes.
    """
    first, second = next(pieces, b""), next(pieces, None)
    if second is None:
        return Response(first, content_type=content_type)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the server
    try:
        for piece in chain((first, second), pieces):
            file.write(piece)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    response = Response(wrap_file(request.environ, file), content_type=content_type, direct_passthrough=True)
    response.content_length = size
    return response


def _close(_: BaseException | None) -> None:
    if spool := g.pop("spool", None):
        spool.close()
