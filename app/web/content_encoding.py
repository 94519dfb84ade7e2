"""Compressed bodies: JSON lines may be compressed with gzip; no other body may be compressed."""

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, cast

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from app.errors import Invalid, UnsupportedMediaType

_CHUNK_BYTES = 1024 * 1024
_GZIP = ("gzip", "x-gzip")


def refuse_compressed() -> None:
    """Refuse a compressed body. Raises UnsupportedMediaType."""
    if _encoding() != "identity":
        raise UnsupportedMediaType("Send this body without a Content-Encoding; only JSON lines may have gzip.")


def uncompressed(most_bytes: int) -> Iterator[bytes]:
    """Read the request's body in chunks, uncompressed if it has gzip.

    Raises UnsupportedMediaType, RequestEntityTooLarge beyond `most_bytes`, and Invalid for broken gzip.
    """
    encoding = _encoding()
    if encoding not in ("identity", *_GZIP):
        raise UnsupportedMediaType("Send JSON lines without a Content-Encoding, or with gzip.")
    stream = request.stream
    read = 0
    # `gzip` reads several members one after the other, as `cat a.gz b.gz` makes them.
    for chunk in _chunks(stream) if encoding == "identity" else _unzipped(stream):
        read += len(chunk)
        if read > most_bytes:
            raise RequestEntityTooLarge
        yield chunk


def _encoding() -> str:
    return request.environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() or "identity"


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _unzipped(stream: IO[bytes]) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=stream, mode="rb") as unzipped:
            yield from _chunks(cast(IO[bytes], unzipped))
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        message = "is not gzip, or is cut off"
        raise Invalid(f"The body {message}. Nothing was stored.", errors={"line 1": [message]}) from error
