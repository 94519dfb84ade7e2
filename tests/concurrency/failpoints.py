"""A WSGI application for tests: the service, in a process that dies at the point that a request names.

A point lies before each statement, BEGIN and COMMIT of a request, and one between the last of them and the
answer. `X-Die-At: 3` ends the process at the third point of its request, as kill -9 does. A SELECT is no point: it
changes nothing, and those that a process makes once a second would move the points behind them.
"""

import os
import signal
import threading
from typing import Any

from flask import Response, request
from sqlalchemy import event

from app import create_app
from app.logging import configure
from config import Config

HEADER = "X-Die-At"
READS = ("SELECT", "EXECUTE closed_circuits")  # the second is a prepared SELECT, made five times a second at most
_here = threading.local()


def _reach(*_: Any) -> None:
    left = getattr(_here, "left", 0)
    _here.left = left - 1
    if left == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def _reach_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if not statement.lstrip().startswith(READS):
        _reach()


def _before_request() -> None:
    _here.left = int(request.headers.get(HEADER, 0))


def _after_request(response: Response) -> Response:
    _reach()
    _here.left = 0
    return response


configure("WARNING")
application = create_app(Config.from_environment())
application.before_request(_before_request)
application.after_request(_after_request)
_engine = application.extensions["interlock"].engine
event.listen(_engine, "begin", _reach)
event.listen(_engine, "before_cursor_execute", _reach_statement)
event.listen(_engine, "commit", _reach)
