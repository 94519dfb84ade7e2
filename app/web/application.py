"""The Flask application's class."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from werkzeug.routing import MapAdapter


class Application(Flask):
    """Flask without what this service does not use, and every request would pay for."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function as it is: no view is asynchronous."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the routes to a request, without SERVER_NAME and subdomains: host and path are read already."""
        if request is None:
            return None
        query = request.query_string.decode(errors="replace")
        return self.url_map.bind(
            request.host, request.root_path, "", request.scheme, request.method, request.path, query
        )
