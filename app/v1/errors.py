"""Error answers in the form that OpenAI's clients read."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app.domain.answer.openai_error import openai_error
from app.errors import Invalid, NotJson, Refusal

log = structlog.get_logger()


class ApiError(Exception):
    """An error answer: its status, its sentence, the name of the parameter, and OpenAI's code."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = headers or {}


def wrong(param: str, message: str, code: str = "invalid_value") -> ApiError:
    """Make the error for a parameter of a wrong value."""
    return ApiError(HTTPStatus.BAD_REQUEST, message, param, code)


def missing(param: str) -> ApiError:
    """Make the error for a parameter that is missing."""
    return wrong(param, f"Missing required parameter: '{param}'.", "missing_required_parameter")


def answer_errors(routes: Blueprint) -> None:
    """Answer every error of a blueprint in this form."""
    routes.register_error_handler(ApiError, _answer)
    routes.register_error_handler(Refusal, _of_refusal)
    routes.register_error_handler(HTTPException, _of_http)
    routes.register_error_handler(Exception, _of_fault)


def _answer(error: ApiError) -> Response:
    body = openai_error(error.status, error.message, error.param, error.code)
    response = Response(orjson.dumps(body), status=error.status, content_type="application/json")
    response.headers.update(error.headers)
    return response


def _of_refusal(refusal: Refusal) -> Response:
    wait = refusal.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(wait)}
    if isinstance(refusal, Invalid | NotJson):
        param = next(iter(refusal.facts.get("errors", {})), None)
        code = "invalid_value" if param else None
        return _answer(ApiError(HTTPStatus.BAD_REQUEST, refusal.detail, param, code, headers))
    return _answer(ApiError(refusal.status, refusal.detail, code=refusal.code, headers=headers))


def _of_http(error: HTTPException) -> Response:
    return _answer(ApiError(error.code or HTTPStatus.INTERNAL_SERVER_ERROR, error.description or error.name))


def _of_fault(error: Exception) -> Response:
    log.exception("request_failed", path=request.path, error=repr(error))
    message = "The service failed. Its log has the error under this answer's x-request-id."
    return _answer(ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, message, headers={"Retry-After": "1"}))
