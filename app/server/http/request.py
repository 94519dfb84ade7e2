"""A request that has arrived whole, as WSGI gives it to the application (PEP 3333)."""

from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from httptools import HttpParserInvalidURLError, parse_url

Environ = dict[str, Any]
CLIENT_HAS_GONE = "interlock.client_has_gone"  # in the environment: a function, true if the connection is closed
SPOOL_BYTES = 1024 * 1024  # a larger body lies in an unlinked file
LONGEST_KNOWN = 40  # bytes of a header's name; longer names are not kept


class Refused(Exception):
    """A request that never reaches the application: the status of its answer, and a sentence."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Request:
    """A request: its environment, whether its connection stays open, or why it is refused."""

    def __init__(self, environ: Environ) -> None:
        self.environ = environ
        self.body_bytes = 0
        self.keeps_connection = False
        self.refused: Refused | None = None
        self._body: IO[bytes] | None = None

    def add_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Several of one name are one, with commas, as RFC 9110 allows."""
        key = _known_key(name) if len(name) <= LONGEST_KNOWN else _key_of(name)
        if key is not None:
            text, before = value.decode("latin-1").strip(" \t"), self.environ.get(key)
            self.environ[key] = text if before is None else f"{before}, {text}"

    def set_target(self, target: bytes) -> None:
        """Divide the target of the request line into path and query. Raises Refused."""
        path, _, query = target.partition(b"#")[0].partition(b"?")
        if not path.startswith(b"/") and path != b"*":
            try:
                parsed = parse_url(target)
            except HttpParserInvalidURLError:
                raise Refused("400 Bad Request", "The address is not one of HTTP.") from None
            path, query = parsed.path or b"/", parsed.query or b""
        self.environ["REQUEST_URI"] = target.decode("latin-1")
        self.environ["PATH_INFO"] = (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")
        self.environ["QUERY_STRING"] = query.decode("latin-1")

    def add_body(self, part: bytes) -> None:
        if self._body is None:
            stated = self.environ.get("CONTENT_LENGTH")  # of most bodies, which need no file
            is_small = stated is not None and int(stated) <= SPOOL_BYTES
            self._body = BytesIO() if is_small else SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by `close`
        self._body.write(part)
        self.body_bytes += len(part)

    def complete(self, keeps_connection: bool) -> None:
        """Everything is there: the application can be called."""
        if self.environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
            self.environ["CONTENT_LENGTH"] = str(self.body_bytes)
        body = self._body or BytesIO()
        body.seek(0)
        self.environ["wsgi.input"] = body
        self.keeps_connection = keeps_connection

    def close(self) -> None:
        if self._body is not None:
            with suppress(OSError):  # the disk is full
                self._body.close()


def _key_of(name: bytes) -> str | None:
    """Name a header as WSGI does. None for a name with an underscore: it could pass for the name with a hyphen."""
    if b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


_known_key = lru_cache(maxsize=256)(_key_of)  # nearly all requests have the same names
