"""An answer: what the application returns, written as HTTP/1.1 to a connection."""

import time
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from functools import lru_cache
from types import TracebackType
from typing import Any

import structlog

from app.server.http.outgoing import ClientGone, Outgoing
from app.server.http.own_answer import own_answer
from app.server.http.request import Request

Application = Callable[..., Iterable[bytes]]
Headers = Sequence[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType]

log = structlog.get_logger()


class CutOff(Exception):
    """The application ended before its answer had the length that its head states."""


class Answer:
    """Writes one answer: a head, and the pieces of a body; the head goes along with the first piece."""

    def __init__(self, request: Request, outgoing: Outgoing) -> None:
        self._request = request
        self._outgoing = outgoing
        self._protocol = request.environ["SERVER_PROTOCOL"]
        self._may_have_body = request.environ["REQUEST_METHOD"] != "HEAD"
        self._is_chunked = False
        self._missing_bytes: int | None = None  # of the body; None if its length is not known
        self._head = b""
        self.begun = False
        self.keeps_connection = request.keeps_connection

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Callable[[bytes], None]:
        """Take status and headers: `start_response` of WSGI."""
        if exc_info and self.begun:
            raise exc_info[1]
        self.keeps_connection = self.keeps_connection and self._request.keeps_connection
        names = {name.lower(): value for name, value in headers}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        self._may_have_body = self._may_have_body and status[:3] not in ("204", "304")
        length = names.get("content-length")
        self._missing_bytes = int(length) if length is not None and self._may_have_body else None
        if length is None and self._may_have_body:
            if self._protocol == "HTTP/1.1":
                self._is_chunked = True
                lines.append("Transfer-Encoding: chunked")
            else:
                self.keeps_connection = False  # its end is the end of the body
        if "date" not in names:
            lines.append(_date(int(time.time())))
        if not self.keeps_connection:
            lines.append("Connection: close")
        elif self._protocol == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        self._head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return self.write

    def write(self, piece: bytes) -> None:
        """Write a piece of the body. Raises ClientGone."""
        if not piece or not self._may_have_body:
            return
        if self._missing_bytes is not None:
            piece = piece[: self._missing_bytes]
            self._missing_bytes -= len(piece)
        elif self._is_chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self._send(piece)

    def finish(self) -> None:
        """Write what is left to write. Raises ClientGone, CutOff."""
        rest = b"0\r\n\r\n" if self._is_chunked else b""
        if self._head or rest:
            self._send(rest)
        if self._missing_bytes:
            raise CutOff(f"{self._missing_bytes} bytes of the answer are missing.")

    def _send(self, part: bytes) -> None:
        head, self._head, self.begun = self._head, b"", True
        self._outgoing.send(head + part)


def answer(application: Application, request: Request, outgoing: Outgoing) -> bool:
    """Answer a request; return whether the connection may carry another one."""
    made = Answer(request, outgoing)
    try:
        if request.refused:
            return _answer_by_itself(made, request, request.refused.status, request.refused.sentence)
        _run(application, request, made)
    except ClientGone:
        return False
    except Exception:
        log.exception("answer_failed", path=request.environ["PATH_INFO"])
        return not made.begun and _answer_by_itself(made, request, "500 Internal Server Error", "The service failed.")
    finally:
        request.close()
    return made.keeps_connection


def _run(application: Application, request: Request, made: Answer) -> None:
    pieces = application(request.environ, made.start)
    try:
        for piece in pieces:
            made.write(piece)
        made.finish()
    finally:
        close: Any = getattr(pieces, "close", None)
        if close:
            close()


def _answer_by_itself(made: Answer, request: Request, status: str, sentence: str) -> bool:
    """Answer without the application, and close the connection."""
    headers, body = own_answer(request.environ["PATH_INFO"], status, sentence)
    made.keeps_connection = False
    try:
        made.start(status, headers)
        made.write(body)
        made.finish()
    except ClientGone:
        pass
    return False


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return f"Date: {formatdate(second, usegmt=True)}"
