"""A client of the API in one process, without a server: Flask's test client that carries a bearer token."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class ApiClient(FlaskClient):
    """Calls as one role; `acting_as` gives a client of another. A header that a test sets itself wins."""

    tokens: dict[str, str]
    token: str | None

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        headers = dict(kwargs.pop("headers", None) or {})
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return super().open(*args, headers=headers, **kwargs)

    def acting_as(self, role: str | None) -> "ApiClient":
        """Make a client of the same application with the token of another role, or with none."""
        return api_client(self.application, self.tokens, role)


def api_client(app: Flask, tokens: dict[str, str], role: str | None = "admin") -> ApiClient:
    """Make a client of `app` that calls with the token of `role`."""
    client = ApiClient(app, app.response_class, use_cookies=True)
    client.tokens = tokens
    client.token = None if role is None else tokens[role]
    return client
