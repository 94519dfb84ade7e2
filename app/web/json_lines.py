"""Answers of JSON lines: one JSON value a line, streamed as the rows are read."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from flask import Response

from app.web.downloads import download

NDJSON = "application/x-ndjson"


def stream_lines(rows: Iterable[Any], file_name: str | None = None) -> Response:
    """Stream `rows` as JSON lines; with a `file_name`, browsers save them under that name."""
    return download(_lines(rows), NDJSON, file_name)


def _lines(rows: Iterable[Any]) -> Iterator[bytes]:
    for row in rows:
        yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
