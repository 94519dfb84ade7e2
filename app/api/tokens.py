"""Tokens, for admins: create (the answer shows the secret once), list, revoke."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from app.api.access import current_caller
from app.api.idempotency import recorder
from app.api.replies import nothing, reply
from app.api.routes import Routes, page
from app.api.schemas.headers import LOCATION
from app.api.schemas.shown import TokenSchema, list_of
from app.api.schemas.taken import Page, TokenBody
from app.domain.roles import ADMINS
from app.web.services import services

routes = Routes("tokens", __name__, url_prefix="/api/tokens", description="Who may call")


def _created(token: Mapping[str, Any]) -> Response:
    return reply(token, 201, Location=f"{request.script_root}/api/tokens/{token['id']}")


@routes.call("POST", "", ADMINS, body=True)
@routes.arguments(TokenBody())
@routes.response(201, TokenSchema, headers=LOCATION)
def create(body: Mapping[str, Any]) -> Response:
    """Create a token; only this answer has its secret."""
    return _created(services().tokens.create(**body, record=recorder(_created), actor=current_caller().name))


@routes.call("GET", "", ADMINS)
@routes.arguments(Page(), location="query")
@routes.response(200, list_of("tokens", TokenSchema))
def index(query: Mapping[str, Any]) -> Response:
    """List the tokens that are not revoked, without their secrets."""
    limit = query["limit"]
    rows = services().tokens.list(limit + 1, query["cursor"] or 0)
    return page("tokens", rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None)


@routes.call("DELETE", "/<ident:token_id>", ADMINS, refuses=[404])
@routes.response(204)
def revoke(token_id: int) -> Response:
    """Revoke a token: within a second, every process refuses it."""
    services().tokens.revoke(token_id, current_caller().name)
    return nothing()
