"""Answers of JSON lines: one JSON value a line, streamed as the rows are read."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from flask import Response, stream_with_context

NDJSON = "application/x-ndjson"


def stream_lines(rows: Iterable[Any], file_name: str | None = None) -> Response:
    """Stream `rows` as JSON lines; with a `file_name`, browsers save them under that name."""
    response = Response(stream_with_context(_lines(rows)), content_type=NDJSON)
    if file_name is not None:
        response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


def _lines(rows: Iterable[Any]) -> Iterator[bytes]:
    for row in rows:
        yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
