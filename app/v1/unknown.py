"""Every other address below /v1: 404 in OpenAI's form."""

from http import HTTPStatus

from flask import Blueprint, Response, request

from app.v1.errors import ApiError

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

routes = Blueprint("v1_unknown", __name__)


@routes.route("/v1", methods=METHODS, strict_slashes=False)
@routes.route("/v1/<path:_rest>", methods=METHODS)
def unknown(_rest: str = "") -> Response:
    """Refuse an address or a method that is not there."""
    raise ApiError(HTTPStatus.NOT_FOUND, f"Invalid URL ({request.method} {request.path})", code="unknown_url")
