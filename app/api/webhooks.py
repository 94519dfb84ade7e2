"""Webhooks, for admins: create, list, show, change, delete, rotate the secret, test, and the messages of one."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from app.api.access import current_caller
from app.api.idempotency import recorder
from app.api.replies import nothing, reply
from app.api.routes import Routes, page
from app.api.schemas.headers import LOCATION
from app.api.schemas.shown import list_of
from app.api.schemas.taken import Page
from app.api.schemas.webhook_calls import (
    ChangeWebhookBody,
    DeliveriesQuery,
    DeliverySchema,
    ReplayBody,
    ReplaySchema,
    WebhookBody,
    WebhookSchema,
    WebhookTestSchema,
)
from app.domain.roles import ADMINS
from app.web.services import services

ONE = "/<ident:webhook_id>"

routes = Routes("webhooks", __name__, url_prefix="/api/webhooks", description="Who gets messages")


def _created(webhook: Mapping[str, Any]) -> Response:
    return reply(webhook, 201, Location=f"{request.script_root}/api/webhooks/{webhook['id']}")


@routes.call("POST", "", ADMINS, body=True)
@routes.arguments(WebhookBody())
@routes.response(201, WebhookSchema, headers=LOCATION)
def create(body: Mapping[str, Any]) -> Response:
    """Create a webhook; only this answer has its secret."""
    return _created(services().webhooks.create(body, recorder(_created), current_caller().name))


@routes.call("GET", "", ADMINS)
@routes.arguments(Page(), location="query")
@routes.response(200, list_of("webhooks", WebhookSchema))
def index(query: Mapping[str, Any]) -> Response:
    """List the webhooks, without their secrets."""
    limit = query["limit"]
    rows = services().webhooks.list(limit + 1, query["cursor"] or 0)
    return page("webhooks", rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None)


@routes.call("GET", ONE, ADMINS, refuses=[404])
@routes.response(200, WebhookSchema)
def show(webhook_id: int) -> Response:
    """Show a webhook, without its secret."""
    return reply(services().webhooks.show(webhook_id))


@routes.call("PATCH", ONE, ADMINS, refuses=[404], body=True)
@routes.arguments(ChangeWebhookBody())
@routes.response(200, WebhookSchema)
def change(body: Mapping[str, Any], webhook_id: int) -> Response:
    """Change a webhook, or enable or disable it."""
    return reply(services().webhooks.change(webhook_id, body, current_caller().name))


@routes.call("DELETE", ONE, ADMINS, refuses=[404])
@routes.response(204)
def delete(webhook_id: int) -> Response:
    """Delete a webhook: nothing more is sent to it."""
    services().webhooks.delete(webhook_id, current_caller().name)
    return nothing()


@routes.call("POST", f"{ONE}/rotate", ADMINS, refuses=[404])
@routes.response(200, WebhookSchema)
def rotate(webhook_id: int) -> Response:
    """Make a new secret, which only this answer has; the one before it signs, too, for another day."""
    return reply(services().webhooks.rotate(webhook_id, recorder(reply), current_caller().name))


@routes.call("POST", f"{ONE}/test", ADMINS, refuses=[404])
@routes.response(200, WebhookTestSchema)
def test(webhook_id: int) -> Response:
    """Send a test message now, and say what became of it."""
    return reply(services().webhooks.test(webhook_id))


@routes.call("GET", f"{ONE}/deliveries", ADMINS, refuses=[404])
@routes.arguments(DeliveriesQuery(), location="query")
@routes.response(200, list_of("deliveries", DeliverySchema))
def deliveries(query: Mapping[str, Any], webhook_id: int) -> Response:
    """List the messages of a webhook, newest first, each with what became of it."""
    found = services().webhooks.deliveries(webhook_id, query["limit"], query["cursor"], query["status"])
    return page("deliveries", *found)


@routes.call("POST", f"{ONE}/replay", ADMINS, refuses=[404], body=True)
@routes.arguments(ReplayBody())
@routes.response(200, ReplaySchema)
def replay(body: Mapping[str, Any], webhook_id: int) -> Response:
    """Send messages again: those with these ids, or those that failed from a time on."""
    return reply(services().webhooks.replay(webhook_id, **body, record=recorder(reply)))
