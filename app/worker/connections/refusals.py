"""What a server sent with a status of 4xx or 5xx, whole, as the error file of a batch has it."""

from typing import Any

import openai

from app.worker.answers.lenient_json import loads

MOST_BYTES = 256 * 1024  # of a body that is kept with a failed task


def refusal_of(error: openai.APIStatusError, content: bytes) -> dict[str, Any] | None:
    """Make the members of a failure from an answer and its `content`; None if that is no JSON object."""
    if len(content) > MOST_BYTES:
        return None
    try:
        body = loads(content)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    request_id = error.response.headers.get("x-request-id")
    return {"status_code": error.status_code, "request_id": request_id, "body": body}
