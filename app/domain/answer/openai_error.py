"""OpenAI's form of an error: `{"error": {"message", "type", "param", "code"}}`."""

from http import HTTPStatus
from typing import Any

PATH = "/v1/"  # below it, every error has this form


def openai_error(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Make the body of an error answer."""
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
