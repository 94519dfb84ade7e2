"""Errors as servers describe them: in the body of a refusal, or within an answer that has status 200. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_MESSAGE_CHARACTERS = 1_000  # characters of a server's answer in a message
UNKNOWN = 500  # of an error that does not say what it is: it may be asked again
_STATUS = {  # of the words that stand in place of a status
    "rate_limit_exceeded": 429, "rate_limit_error": 429, "too_many_requests": 429, "insufficient_quota": 429,
    "invalid_api_key": 401, "authentication_error": 401, "permission_error": 403,
    "invalid_request_error": 400, "BadRequestError": 400, "context_length_exceeded": 400, "content_filter": 400,
    "model_not_found": 404, "not_found_error": 404,
}  # fmt: skip
_FILTERED = {"content_filter", "content_policy_violation", "moderation_blocked", "data_inspection_failed"}
_FLAGGED = ("reasons", "flagged_input")  # OpenRouter's metadata of a prompt that a moderation held back


@dataclass(frozen=True)
class BodyError:
    """`filtered`: a filter or a moderation held back this one request."""

    status: int
    code: str | None
    message: str
    filtered: bool = False


def within(body: Mapping[str, Any]) -> BodyError | None:
    """Find the error in a body that should be an answer, or in one of its choices; None where there is none."""
    error = body if body.get("object") == "error" else body.get("error")
    if not error:
        choices = body.get("choices")
        errors = (
            [each.get("error") for each in choices if isinstance(each, Mapping)] if isinstance(choices, list) else []
        )
        error = next(filter(None, errors), None)
    return described(error) if error else None


def described(error: Any) -> BodyError:
    """Read an error, whatever form it has: an object, a sentence, or something else."""
    if not isinstance(error, Mapping):
        return BodyError(UNKNOWN, None, str(error)[:MAX_MESSAGE_CHARACTERS])
    names = [error.get(name) for name in ("code", "status", "status_code", "type")]
    status = next((status for name in names if (status := _status(name))), UNKNOWN)
    code = error.get("code") if isinstance(error.get("code"), str) else None
    metadata = error.get("metadata")
    details = metadata if isinstance(metadata, Mapping) else {}
    filtered = code in _FILTERED or any(details.get(name) for name in _FLAGGED)
    return BodyError(status, code, _message(error, details), filtered)


def _message(error: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """Find what the server says; servers put it into different places."""
    message = str(error.get("message") or error.get("detail") or error.get("error") or dict(error))
    return (f"{message}: {details['raw']}" if details.get("raw") else message)[:MAX_MESSAGE_CHARACTERS]


def _status(name: Any) -> int | None:
    if isinstance(name, int) and not isinstance(name, bool):
        return name if 400 <= name <= 599 else None
    if not isinstance(name, str):
        return None
    return int(name) if len(name) == 3 and name.isascii() and name[0] in "45" and name.isdigit() else _STATUS.get(name)
