"""Static files: sent compressed, and kept by browsers for a year: the address of each has the sum of its content."""

import gzip
import mimetypes
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from flask import Blueprint, Response, abort, request, url_for

STATIC = Path(__file__).parent / "static"
YEAR_SECONDS = 365 * 24 * 3600
LONGEST_SUM = 12
ENDPOINT = "ui.static"
# Scripts that are loaded together, as one file: each request of a page that is opened for the first time takes time.
TOGETHER = {
    "frame.js": (
        "vendor/htmx.min.js", "vendor/sse.min.js", "vendor/idiomorph-ext.min.js", "page.js", "keys.js", "live.js",
        "head.js", "dialog.js",
    ),
}  # fmt: skip
_FILES = {str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()}


class StaticFile(NamedTuple):
    """A file, and the same file compressed."""

    content: bytes
    packed: bytes
    version: str
    media_type: str


@lru_cache(maxsize=256)
def read(name: str) -> StaticFile:
    """Read a static file once, or those that are loaded together. Raises KeyError."""
    names = TOGETHER.get(name, (name,))
    if not _FILES.issuperset(names):
        raise KeyError(name)
    content = b";\n".join((STATIC / each).read_bytes() for each in names)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    text = "; charset=utf-8" if kind.startswith("text/") else ""
    version = sha256(content).hexdigest()[:LONGEST_SUM]
    return StaticFile(content, gzip.compress(content, 9, mtime=0), version, kind + text)


def asset(name: str) -> str:
    """Give the address of a static file, with the sum of its content."""
    return url_for(ENDPOINT, filename=name, v=read(name).version)


def register(assets: Blueprint) -> None:
    """Serve the files below /static."""
    assets.add_url_rule("/static/<path:filename>", "static", _serve)


def _serve(filename: str) -> Any:
    try:
        file = read(filename)
    except KeyError:
        abort(404)
    is_packed = request.accept_encodings["gzip"] > 0 and len(file.packed) < len(file.content)
    response = Response(file.packed if is_packed else file.content, content_type=file.media_type)
    if is_packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    is_named = request.args.get("v") == file.version
    response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable" if is_named else "no-cache"
    response.set_etag(f"{file.version}-gzip" if is_packed else file.version)
    return response.make_conditional(request)
