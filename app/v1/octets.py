"""Answers that are the bytes of a file."""

from collections.abc import Iterator

from flask import Response

from app.web.downloads import Place, download

SMALL_BYTES = 1024 * 1024  # such a file is sent at once, and takes none of the places for downloads
OCTETS = "application/octet-stream"


def octets(pieces: Iterator[bytes], size_bytes: int, place: Place | None = None) -> Response:
    """Send pieces of bytes, which are `size_bytes` together. Raises Busy without a free `place`."""
    if size_bytes <= SMALL_BYTES:
        response = Response(b"".join(pieces), content_type=OCTETS)
    else:
        response = download(pieces, OCTETS, place=place)
    response.headers["Content-Length"] = str(size_bytes)  # an answer that ends before it is an error
    response.headers["Content-Disposition"] = "attachment"
    return response
