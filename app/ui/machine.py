"""The page of the state machine: a picture and a table, both made from the transition table."""

from flask import Blueprint, Response, render_template

from app.domain import transitions
from app.domain.picture import diagram
from app.ui.access import page

routes = Blueprint("ui_machine", __name__)

PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # the picture has its own styles


@page(routes, "GET", "/machine")
def show() -> str:
    """Show every transition: its trigger, its states and its guard."""
    rows = [(row, diagram.rule(row)) for row in transitions.TABLE]
    return render_template("machine.html", rows=rows)


@page(routes, "GET", "/machine.svg")
def picture() -> Response:
    """Answer the picture, as SVG."""
    headers = {"Content-Security-Policy": PICTURE_POLICY}
    return Response(diagram.as_svg(), content_type="image/svg+xml; charset=utf-8", headers=headers)
