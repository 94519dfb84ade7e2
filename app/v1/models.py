"""Models: those that the present workers name."""

from flask import Blueprint, Response

from app.domain.roles import READERS
from app.v1.calls import answer, call
from app.web.services import services

routes = Blueprint("v1_models", __name__)


@call(routes, "GET", "/v1/models", READERS)
def index() -> Response:
    """List the models that present workers name; a connection that takes any model names none."""
    found = sorted(services().reads.connections.models().items())
    rows = [{"id": model, "object": "model", "created": 0, "owned_by": connection} for model, connection in found]
    return answer({"object": "list", "data": rows})
