"""The Flask application's class."""

from collections.abc import Callable
from typing import Any

from flask import Flask


class Application(Flask):
    """Flask without asynchronous views: it would look at each function of a request, whether it is one."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func
