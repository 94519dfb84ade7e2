"""The state machine, drawn and explained from the table."""

from flask import Blueprint, Response, render_template

from app.domain import diagram, transitions
from app.ui.access import page

routes = Blueprint("ui_machine", __name__)

PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a picture brings its own colours, and nothing else


@page(routes, "GET", "/machine")
def show() -> str:
    """Show every trigger: who may pull it, from where to where, on what condition."""
    rows = [(row, diagram.rule(row)) for row in transitions.TABLE]
    return render_template("machine.html", rows=rows)


@page(routes, "GET", "/machine.svg")
def picture() -> Response:
    """Draw it."""
    headers = {"Content-Security-Policy": PICTURE_POLICY}
    return Response(diagram.as_svg(), content_type="image/svg+xml; charset=utf-8", headers=headers)
