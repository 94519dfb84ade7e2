"""The OpenAPI document, generated from routes and schemas, and its page, which loads nothing from other hosts."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import flask_smorest
import flask_swagger_ui
from flask import Blueprint, Flask, Response, json, request, send_from_directory
from flask_smorest.utils import prepare_response

from app.api.problems import PROBLEM_JSON
from app.api.schemas.headers import OF_REFUSALS
from app.api.schemas.shown import ProblemSchema

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Interlock API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{root}/api/docs/assets/swagger-ui.css">
<link rel="icon" href="{root}/api/docs/assets/favicon-32x32.png"></head>
<body><div id="page"></div>
<script src="{root}/api/docs/assets/swagger-ui-bundle.js"></script>
<script src="{root}/api/docs/start.js"></script></body></html>
"""
START = """window.ui = SwaggerUIBundle({{
  url: "{root}/api/openapi.json", dom_id: "#page", validatorUrl: null, deepLinking: true
}});
"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"

SETTINGS = {
    "API_TITLE": "Interlock",
    "API_VERSION": "1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/api",
    "OPENAPI_JSON_PATH": "openapi.json",
    "API_SPEC_OPTIONS": {
        "info": {"description": "The one place that decides what state a batch is in."},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    },
}

routes = Blueprint("documentation", __name__, url_prefix="/api/docs")


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The collector of routes, with our shape of errors in every operation."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """Register none: app.api.problems answers the errors of every path."""

    def _openapi_json(self) -> Response:
        served = {"servers": [{"url": request.script_root}]} if request.script_root else {}
        text = json.dumps({**self.spec.to_dict(), **served}, indent=2, sort_keys=False)
        return Response(text, mimetype="application/json")

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            response: dict[str, Any] = {"description": status.phrase}
            if status >= 400:
                response["schema"] = self.ERROR_SCHEMA
            if status in OF_REFUSALS:
                response["headers"] = OF_REFUSALS[status]
            prepare_response(response, self.spec, PROBLEM_JSON)
            self.spec.components.response(status.name, response, lazy=True)
        default = {"description": "Any other refusal", "schema": self.ERROR_SCHEMA}
        prepare_response(default, self.spec, PROBLEM_JSON)
        self.spec.components.response("DEFAULT_ERROR", default, lazy=True)


def document(app: Flask) -> Api:
    """Make the API; the blueprints registered on it are documented."""
    app.config.update(SETTINGS)
    return Api(app)


@routes.get("")
def page() -> Response:
    return Response(
        PAGE.format(root=request.script_root),
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": POLICY},
    )


@routes.get("/start.js")
def start() -> Response:
    return Response(START.format(root=request.script_root), content_type="text/javascript; charset=utf-8")


@routes.get("/assets/<path:name>")
def assets(name: str) -> Response:
    return send_from_directory(ASSETS, name, max_age=3600)
