"""The search over all batches."""

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import fields, validate

from app.api.routes import Routes, page
from app.api.schemas.fields import Taken, short
from app.api.schemas.shown import list_of
from app.api.schemas.views import Shown
from app.domain.roles import READERS
from app.domain.transitions import BatchState
from app.services.search.search import LONGEST, FoundKind, SearchPlace
from app.web.services import services

routes = Routes("search", __name__, url_prefix="/api", description="The search over all batches")


class FoundSchema(Shown):
    kind = fields.Enum(FoundKind, by_value=True)
    id = fields.String()
    name = fields.String()
    batch_id = fields.Integer()
    batch_name = fields.String()
    batch_state = fields.Enum(BatchState, by_value=True)


class SearchQuery(Taken):
    q = short(LONGEST, load_default="")
    kind = fields.String(load_default=None, validate=validate.OneOf(list(FoundKind)))
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = short(2 * 500, load_default=None)


@routes.call("GET", "/search", READERS)
@routes.arguments(SearchQuery(), location="query")
@routes.response(200, list_of("found", FoundSchema))
def search(query: Mapping[str, Any]) -> Response:
    """Find batches by number or a part of the name, tasks by number, documents by the beginning of the name."""
    after = None if query["cursor"] is None else SearchPlace.read(query["cursor"])
    kind = FoundKind(query["kind"]) if query["kind"] else None
    found, further = services().search.page(query["q"], kind, query["limit"], after)
    return page("found", [each.view() for each in found], further)
