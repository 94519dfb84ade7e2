"""The services of the application that answers the present request."""

from flask import current_app

from app.services import Services

EXTENSION = "interlock"


def services() -> Services:
    """Return the services of the present application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
