"""Where a view, of the API or of a page, finds the services of its process."""

from flask import current_app

from app.services import Services

EXTENSION = "interlock"


def services() -> Services:
    """The services of the present application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
