"""Actions: which ones a batch allows, the request for one, and the requests that wait in the queue."""

from collections.abc import Mapping
from typing import Any

from flask import Response, url_for

from app.api.access import order
from app.api.idempotency import recorder
from app.api.parsing import if_match
from app.api.problems import problem
from app.api.replies import etag, reply
from app.api.routes import BATCH, Routes, page
from app.api.schemas.headers import ETAG, LOCATION, RETRY_AFTER
from app.api.schemas.shown import ActionSchema, DecisionSchema, QueuedSchema, RequestSchema, list_of
from app.api.schemas.taken import ActionBody, Page
from app.domain.roles import OPERATORS, READERS
from app.errors import titles
from app.services.batch.orders import Answer
from app.web.services import services

routes = Routes("actions", __name__, url_prefix="/api", description="Requests for a change of state")


@routes.call("POST", f"{BATCH}/action", OPERATORS, refuses=[404, 409, 412, 503], body=True)
@routes.arguments(ActionBody())
@routes.response(200, DecisionSchema, headers=ETAG)
@routes.alt_response(
    202,
    schema=QueuedSchema,
    success=True,
    description="The batch is locked: the request is queued",
    headers={**LOCATION, **RETRY_AFTER},
)
def act(body: Mapping[str, Any], batch_id: int) -> Response:
    """Request an action. The answer is the change, a refusal with its reason, or a place in the request queue."""
    requested = order(recorder(_rendered), if_version=if_match(), dry_run=body["dry_run"], context=body["context"])
    return _rendered(services().batches.decide(batch_id, body["action"], requested))


def _rendered(answer: Answer) -> Response:
    """Make the response of an answer of BatchService."""
    if answer["success"]:
        return reply(answer, ETag=etag(answer["batch"]))
    if answer["success"] is None:
        location = url_for("actions.request_of", request_id=answer["request_id"])
        return reply(answer, 202, Location=location, Retry_After="1")
    facts = {key: value for key, value in answer.items() if key not in ("code", "status")}
    return problem(answer["status"], answer["code"], titles()[answer["code"]], answer["reason"], facts)


@routes.call("GET", f"{BATCH}/actions", READERS, refuses=[404])
@routes.response(200, list_of("actions", ActionSchema, paged=False))
def actions(batch_id: int) -> Response:
    """List each action: whether it is allowed now, and the reason if it is not."""
    return reply({"actions": services().batches.actions(batch_id)})


@routes.call("GET", f"{BATCH}/requests", READERS, refuses=[404])
@routes.arguments(Page(), location="query")
@routes.response(200, list_of("requests", RequestSchema))
def requests(query: Mapping[str, Any], batch_id: int) -> Response:
    """List the requests that found the batch locked, and their outcomes."""
    return page("requests", *services().reads.requests.page(batch_id, query["limit"], query["cursor"] or 0))


@routes.call("GET", "/requests/<string(maxlength=64):request_id>", READERS, refuses=[404])
@routes.response(200, RequestSchema)
def request_of(request_id: str) -> Response:
    """Show a queued request and its outcome."""
    return reply(services().reads.requests.show(request_id))
