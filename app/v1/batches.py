"""Batches: create, show, list, cancel; and what OpenAI's API does not have: pause, resume, retry."""

import hashlib
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, request

from app.domain.answer.endpoints import ENDPOINTS, endpoint_of
from app.domain.file.batches import FINAL, Status, number_of, window_seconds
from app.domain.roles import OPERATORS, READERS
from app.errors import NotFound
from app.services.batch.orders import Answer, Order
from app.services.file_batch.creation import NewFileBatch
from app.services.file_batch.file_batches import ShownFileBatch
from app.v1 import fields, metadata
from app.v1.access import current_caller, secret_of_caller
from app.v1.batch_object import batch_object
from app.v1.calls import answer, call
from app.v1.errors import ApiError, wrong
from app.v1.objects import list_object
from app.v1.repeated_calls import is_repeated
from app.web.services import services

MOST_LISTED, LISTED = 100, 20
LONGEST_ID = 100
KEY = "Idempotency-Key"
REPEATED_WITHIN = timedelta(minutes=10)
KEY_KEPT = timedelta(hours=24)
NEVER_AGAIN = {"x-should-retry": "false"}  # a client would repeat a 409
ONE = "/v1/batches/<batch_id>"

routes = Blueprint("v1_batches", __name__)


@call(routes, "POST", "/v1/batches", OPERATORS)
def create() -> Response:
    """Create a batch of an input file; the service validates and runs it by itself."""
    given = fields.body()
    endpoint, window = _endpoint(given), fields.text(given, "completion_window", 20)
    if (seconds := window_seconds(window)) is None:
        message = "Invalid value for 'completion_window': 24h, or from 5m to 30d, such as 90m, 12h or 7d."
        raise wrong("completion_window", message)
    new = NewFileBatch(
        input_file_id=fields.text(given, "input_file_id", LONGEST_ID),
        endpoint=endpoint,
        completion_window=window,
        window_seconds=seconds,
        fingerprint=_fingerprint(),
        pairs=metadata.pairs(given.get("metadata")),
        output_lifetime_seconds=fields.lifetime(given.get("output_expires_after"), "output_expires_after"),
        max_cost=metadata.max_cost(given.get("metadata")),
        reuses=metadata.reuses(given.get("metadata")),
        repeats_within=_repeats_within(),
    )
    return _answer(services().file_batches.create(new, _order()))


@call(routes, "GET", "/v1/batches", READERS)
def index() -> Response:
    """List batches, newest first."""
    limit = fields.whole(request.args, "limit", 1, MOST_LISTED, LISTED)
    after = request.args.get("after")
    number = number_of(after) if after else 0
    if after and not number:
        raise wrong("after", f"No batch found with id '{after}'.")
    rows, has_more = services().file_batches.page(limit, number)
    return answer(list_object([batch_object(each) for each in rows], has_more))


@call(routes, "GET", ONE, READERS)
def show(batch_id: str) -> Response:
    """Show a batch."""
    return _answer(_known(batch_id))


@call(routes, "POST", f"{ONE}/cancel", OPERATORS)
def cancel(batch_id: str) -> Response:
    """Cancel a batch; while it is validated, the wish is kept."""
    _known(batch_id)
    shown = services().file_batches.cancel(batch_id, _order())
    if shown.status in FINAL - {Status.CANCELLED}:
        message = f"Cannot cancel a batch with status '{shown.status}'."
        raise ApiError(HTTPStatus.CONFLICT, message, headers=NEVER_AGAIN)
    return _answer(shown)


@call(routes, "POST", f"{ONE}/pause", OPERATORS)
def pause(batch_id: str) -> Response:
    """Pause a batch: no further line is sent; lines under way may finish."""
    _known(batch_id)
    return _decided(*services().file_batches.act(batch_id, "pause", _order(_reason())))


@call(routes, "POST", f"{ONE}/resume", OPERATORS)
def resume(batch_id: str) -> Response:
    """Go on with a batch that is paused."""
    _known(batch_id)
    return _decided(*services().file_batches.act(batch_id, "resume", _order(_reason())))


@call(routes, "POST", f"{ONE}/retry", OPERATORS)
def retry(batch_id: str) -> Response:
    """Begin a new run for the lines that have no answer; not before the files of this run are made."""
    if (status := _known(batch_id).status) not in FINAL:
        raise ApiError(HTTPStatus.CONFLICT, f"Cannot retry a batch with status '{status}'.", headers=NEVER_AGAIN)
    return _decided(*services().file_batches.retry(batch_id, _order(_reason())))


def _known(batch_id: str) -> ShownFileBatch:
    try:
        return services().file_batches.show(batch_id)
    except NotFound as error:
        raise ApiError(HTTPStatus.NOT_FOUND, f"No batch found with id '{batch_id}'.") from error


def _answer(shown: ShownFileBatch) -> Response:
    return answer(batch_object(shown))


def _decided(decision: Answer, shown: ShownFileBatch) -> Response:
    """Answer with the batch; a refusal of the transition table or a guard is a conflict that no repetition solves."""
    if decision["success"] is False:
        raise ApiError(decision["status"], decision["reason"], code=decision["code"], headers=NEVER_AGAIN)
    return _answer(shown)


def _order(context: dict[str, Any] | None = None) -> Order:
    caller = current_caller()
    return Order(actor=caller.name, role=caller.role, request_id=g.request_id, context=context or {})


def _reason() -> dict[str, Any]:
    given = fields.body()
    return {"reason": fields.text(given, "reason", 1_000)} if given.get("reason") is not None else {}


def _endpoint(given: fields.Fields) -> str:
    endpoint = endpoint_of(fields.text(given, "endpoint", 100))
    if endpoint not in ENDPOINTS:
        supported = ", ".join(f"'{each}'" for each in ENDPOINTS)
        raise wrong("endpoint", f"Invalid value for 'endpoint': '{endpoint}'. Supported values are: {supported}.")
    return endpoint


def _fingerprint() -> str:
    """Hash the caller's token and the call: only the same call of the same token is a repetition of it."""
    parts = (secret_of_caller().encode(), request.headers.get(KEY, "").encode(), request.get_data())
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _repeats_within() -> timedelta | None:
    if request.headers.get(KEY):
        return KEY_KEPT
    return REPEATED_WITHIN if is_repeated() else None
