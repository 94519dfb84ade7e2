"""Parses what arrives on a connection into requests. The syntax of HTTP/1.1 is llhttp's: see httptools."""

import time
from contextlib import suppress

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from app.server.http.request import Environ, Refused, Request

HEAD_BYTES = 64 * 1024  # also of the lines between the parts of a body, and after it
_NOT_HTTP = "400 Bad Request", "The request is not HTTP/1.1."
_LONG_HEAD = "431 Request Header Fields Too Large", "The head of the request is larger than the service accepts."
_LARGE_BODY = "413 Content Too Large", "The body is larger than the service accepts."
_VERSION = "505 HTTP Version Not Supported", "Send HTTP/1.1 or HTTP/1.0."


class RequestReader:
    """Reads requests. The methods named `on_...` are called by the parser; `environ` is what all requests share.

    After a request that is refused, or that ends the connection, `has_ended` is true: nothing more may be read.
    """

    def __init__(self, environ: Environ, most_body_bytes: int) -> None:
        self.has_ended = False
        self.awaits_continue = False  # whether the client of the last request waits to be asked for the body
        self.began_at: float | None = None  # of the request that is arriving; None if none is
        self._environ = environ
        self._most_body_bytes = most_body_bytes
        self._parser = HttpRequestParser(self)
        self._whole: list[Request] = []
        self._arriving = Request(environ)
        self._has_head = False
        self._target = b""
        self._lean_bytes = 0  # that arrived since a request began, or a part of its body

    @property
    def body_bytes(self) -> int | None:
        """How much of the arriving request's body is there; None before its head is there whole."""
        return self._arriving.body_bytes if self._has_head else None

    def feed(self, data: bytes) -> list[Request]:
        """Parse `data`; return the requests that are whole now. The last one may be refused."""
        whole = self._whole = []
        before = (self._arriving, self.body_bytes)
        try:
            self._parser.feed_data(data)
            is_lean = before == (self._arriving, self.body_bytes)
            self._lean_bytes = self._lean_bytes + len(data) if is_lean else len(data)
            if self.began_at is not None and self._lean_bytes > HEAD_BYTES:
                raise Refused(*_LONG_HEAD)
        except HttpParserUpgrade:  # to HTTP/2 or WebSocket; a server may ignore it
            whole[-1].keeps_connection, self.has_ended = False, True
        except Refused as refused:
            self._refuse(refused)
        except HttpParserCallbackError as error:
            if not isinstance(error.__context__, Refused):
                raise
            self._refuse(error.__context__)
        except HttpParserError:
            if not self.has_ended:  # data after the last request are ignored
                self._refuse(Refused(*_NOT_HTTP))
        return whole

    def on_message_begin(self) -> None:
        self._arriving = Request(dict(self._environ))
        self._has_head, self._target, self.awaits_continue = False, b"", False
        self.began_at = time.monotonic()

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # what follows a body is ignored
            self._arriving.add_header(name, value)

    def on_headers_complete(self) -> None:
        version, environ = self._parser.get_http_version(), self._arriving.environ
        if version not in ("1.0", "1.1"):
            raise Refused(*_VERSION)
        environ["SERVER_PROTOCOL"] = f"HTTP/{version}"
        environ["REQUEST_METHOD"] = self._parser.get_method().decode("ascii")
        self._arriving.set_target(self._target)
        if int(environ.get("CONTENT_LENGTH") or 0) > self._most_body_bytes:
            raise Refused(*_LARGE_BODY)
        self._has_head = True
        self.awaits_continue = environ.get("HTTP_EXPECT", "").lower() == "100-continue"

    def on_body(self, part: bytes) -> None:
        self._arriving.add_body(part)
        if self._arriving.body_bytes > self._most_body_bytes:
            raise Refused(*_LARGE_BODY)

    def on_message_complete(self) -> None:
        self._arriving.complete(self._parser.should_keep_alive())
        self._end_request()
        self.has_ended = not self._arriving.keeps_connection

    def _refuse(self, refused: Refused) -> None:
        if self.began_at is None:  # not even the first line of a request
            self._arriving = Request(dict(self._environ))
        elif not self._has_head:
            with suppress(Refused):  # the answer has the form of the address, if that is known
                self._arriving.set_target(self._target)
        self._arriving.refused = refused
        self._end_request()
        self.has_ended = True

    def _end_request(self) -> None:
        self._whole.append(self._arriving)
        self.began_at, self._has_head = None, False
