"""Which calls are repeated: those that a busy or absent service did not carry out, or that count once."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from interlock import Client
from interlock.errors import Busy, InterlockError, InternalError, NotInterlock, ServiceAway

Reply = tuple[int, bytes] | None  # None: the connection ends without an answer
DONE: Reply = (200, b'{"id": 1}')
BUSY: Reply = (503, b'{"code": "busy", "detail": "Busy."}')
IN_USE: Reply = (409, b'{"code": "idempotency_key_in_use", "detail": "Wait."}')
FAULT: Reply = (500, b'{"code": "internal_error", "detail": "A fault."}')
PROXY: Reply = (502, b"<html>Bad gateway</html>")


@dataclass
class Script:
    """Answers calls in turn, and keeps their methods and keys."""

    replies: list[Reply] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def script() -> Iterator[Script]:
    made = Script()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Be silent."""

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.methods.append(self.command)
            made.keys.append(self.headers.get("Idempotency-Key"))
            reply = made.replies.pop(0)
            if reply is None:
                return
            self.send_response(reply[0])
            self.send_header("Content-Length", str(len(reply[1])))
            self.end_headers()
            self.wfile.write(reply[1])

        do_GET = do_POST = do_PATCH = do_DELETE = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def create(client: Client) -> object:
    return client.create("x")


def show(client: Client) -> object:
    return client.batch(1)


def rename(client: Client) -> object:
    return client.rename(1, "x")


@pytest.mark.parametrize("call", [create, show])
@pytest.mark.parametrize("first", [BUSY, PROXY, None], ids=["busy", "proxy", "cut off"])
def test_what_counts_once_is_repeated(script: Script, call: Callable[[Client], object], first: Reply) -> None:
    script.replies = [first, first, DONE]
    with Client(script.url, "x") as client:
        assert call(client) == orjson.loads(DONE[1])
    assert len(script.methods) == 3
    assert len(set(script.keys)) == 1, "the same key each time"
    assert (script.keys[0] is not None) is (script.methods[0] == "POST")


def test_each_post_has_a_key_of_its_own(script: Script) -> None:
    script.replies = [DONE, DONE]
    with Client(script.url, "x") as client:
        create(client)
        create(client)
    assert len(set(script.keys)) == 2


def test_the_first_request_with_a_key_is_waited_for(script: Script) -> None:
    script.replies = [None, IN_USE, DONE]
    with Client(script.url, "x") as client:
        assert create(client) == {"id": 1}


def test_an_edit_that_was_refused_as_busy_is_repeated(script: Script) -> None:
    script.replies = [BUSY, DONE]
    with Client(script.url, "x") as client:
        assert rename(client) == {"id": 1}


@pytest.mark.parametrize(
    ("first", "raised"),
    [(None, ServiceAway), (PROXY, ServiceAway), (FAULT, InternalError)],
    ids=["cut", "proxy", "500"],
)
def test_an_edit_that_may_have_been_carried_out_is_not(
    script: Script, first: Reply, raised: type[InterlockError]
) -> None:
    script.replies = [first, DONE]
    with Client(script.url, "x") as client, pytest.raises(raised):
        rename(client)
    assert script.methods == ["PATCH"]


def test_repeats_end(script: Script) -> None:
    script.replies = [BUSY] * 20
    with Client(script.url, "x", retry_seconds=3.0) as client, pytest.raises(Busy):
        create(client)
    assert 1 < len(script.methods) < 10


def test_another_server_is_recognised(script: Script) -> None:
    script.replies = [(404, b"<html>Nothing here</html>")]
    with Client(script.url, "x") as client, pytest.raises(NotInterlock, match="is not one of Interlock"):
        show(client)
