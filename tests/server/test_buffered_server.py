"""HTTP as the server speaks it, on a small application in this process. See app/server/http."""

import http.client
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest

from app.server.http import buffered_server
from app.server.http.buffered_server import BufferedServer
from app.server.http.connection import Connection
from app.server.http.outgoing import KEPT_BYTES
from app.server.http.request_reader import HEAD_BYTES
from tests.support.waiting import LIMIT_SECONDS, wait_until

MOST_BODY_BYTES = 3 * 1024 * 1024
LARGE_BYTES = 2 * 1024 * 1024  # more than a connection's buffer has in memory
CONNECTIONS, EXCHANGES = 6, 300
THREADS = 2
Start = Callable[..., Any]


class Application:
    """Answers by path: what the request was, or an answer of a certain kind."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.hold = threading.Event()
        self.ended_early = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        name = path.rpartition("/")[2] or "echo"
        given: Callable[[dict[str, Any], Start], Iterable[bytes]] = getattr(self, name, self.echo)
        return given(environ, start)

    def echo(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        seen = [environ[name] for name in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING")]
        seen += [environ.get("HTTP_X_SEEN", "-"), environ.get("CONTENT_LENGTH", "-"), f"{len(body)}:{body[:20]!r}"]
        text = "|".join(seen).encode()
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
        return [text]

    def pieces(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return iter([b"one", b"", b"two"])

    def none(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("204 No Content", [])
        return []

    def short(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "10")])
        return [b"half"]

    def fails(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        raise RuntimeError("on purpose")

    def fails_late(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        yield b"begun"
        raise RuntimeError("on purpose")

    def large(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", str(LARGE_BYTES))])
        return [bytes(range(256)) * (LARGE_BYTES // 256)]

    def endless(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        try:
            while True:
                yield bytes(1024 * 1024)
        finally:
            self.ended_early.set()

    def held(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        assert self.hold.wait(LIMIT_SECONDS)
        return self.echo(environ, start)


class Running:
    """A server with THREADS threads, and its application."""

    def __init__(self, opened: ExitStack) -> None:
        self.application = Application()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self.server = BufferedServer(self.application, listener, THREADS, 75, MOST_BODY_BYTES)
        self._stops = threading.Event()
        self._loop = threading.Thread(target=self._serve)
        self._loop.start()
        self.opened = opened

    def _serve(self) -> None:
        while not self._stops.is_set():
            self.server.serve(0.05)
        self.server.finish(LIMIT_SECONDS)

    def stop(self) -> None:
        self._stops.set()
        self._loop.join(LIMIT_SECONDS)
        assert not self._loop.is_alive()

    def connect(self, sent: bytes = b"", receive_bytes: int | None = None) -> socket.socket:
        client = self.opened.enter_context(socket.socket())
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(LIMIT_SECONDS)
        client.connect(("127.0.0.1", self.port))
        client.sendall(sent)
        return client

    def http(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_SECONDS)
        self.opened.callback(connection.close)
        return connection


@pytest.fixture
def running() -> Iterator[Running]:
    with ExitStack() as opened:
        made = Running(opened)
        opened.callback(made.stop)
        yield made


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Let threads take turns as often as the interpreter can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def get(running: Running, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = running.http()
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    running.opened.callback(answer.close)  # it has the socket where the connection ends with it
    return answer


def whole_answer(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def request(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: x", *headers, "", ""]).encode()


LAST = request("/", "Connection: close")


def test_it_answers_many_requests_on_one_connection(running: Running) -> None:
    connection = running.http()
    for number in range(3):
        connection.request("POST", f"/a%20b?n={number}", b"body", {"X-Seen": "seen"})
        answer = connection.getresponse()
        assert answer.read().decode() == f"POST|/a b|n={number}|seen|4|4:b'body'"
        assert (answer.status, answer.getheader("Connection")) == (200, None)
        assert answer.getheader("Date", "").endswith("GMT")


def test_requests_that_come_at_once_are_answered_in_order(running: Running) -> None:
    client = running.connect(request("/1") + request("/pieces") + request("/2") + request("/none") + LAST)
    answers = whole_answer(client)
    found = [answers.index(part) for part in (b"GET|/1|", b"3\r\ntwo", b"GET|/2|", b"204 No", b"GET|/|")]
    assert found == sorted(found)
    assert answers.count(b"HTTP/1.1 ") == 5


def test_each_request_is_answered_once_while_others_arrive(running: Running, hasty_threads: None) -> None:
    """The next request of a connection arrives while the thread is still at the end of the one before."""

    def exchange(number: int) -> None:
        connection = running.http()
        for each in range(EXCHANGES):
            connection.request("POST", f"/{number}-{each}", b"a body")
            answer = connection.getresponse()
            seen.append(answer.read().decode() == f"POST|/{number}-{each}||-|6|6:b'a body'")

    seen: list[bool] = []
    clients = [threading.Thread(target=exchange, args=(number,)) for number in range(CONNECTIONS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert seen == [True] * CONNECTIONS * EXCHANGES


def test_a_request_that_arrives_while_another_ends_has_one_thread(running: Running) -> None:
    """It arrives between the removal of the request before it and the end of `answer_one`: either says so, not both."""
    client, served = socket.socketpair()
    environ = {"SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET"}
    connection = Connection(served, environ, MOST_BODY_BYTES, lambda _: None)
    with client, closing(connection):
        client.sendall(request("/1"))
        assert connection.receive()
        client.sendall(request("/2"))
        begins: list[bool] = []

        class Gap:
            """A lock after whose release the loop comes first."""

            def __enter__(self) -> None: ...

            def __exit__(self, *_: object) -> None:
                connection._lock = threading.Lock()
                begins.append(connection.receive())

        connection._lock = Gap()  # type: ignore[assignment]
        assert not connection.answer_one(running.application)
        assert begins == [True]
        assert not connection.answer_one(running.application)
        assert client.recv(65536).count(b"HTTP/1.1 200 OK") == 2


def test_a_body_may_come_in_pieces_and_chunks(running: Running) -> None:
    connection = running.http()
    connection.request("POST", "/", iter([b"one", b"two"]), encode_chunked=True)  # it has no Content-Length
    assert connection.getresponse().read().decode() == "POST|/||-|6|6:b'onetwo'"
    client = running.connect(request("/", "Content-Length: 4", "Connection: close", method="POST"))
    for each in b"body":
        client.sendall(bytes([each]))
    assert whole_answer(client).endswith(b"POST|/||-|4|4:b'body'")


def test_a_large_body_and_a_large_answer_arrive_whole(running: Running) -> None:
    connection = running.http()
    connection.request("POST", "/", bytes(LARGE_BYTES))
    assert f"{LARGE_BYTES}:" in connection.getresponse().read().decode()
    connection.request("GET", "/large")
    assert connection.getresponse().read() == bytes(range(256)) * (LARGE_BYTES // 256)


def test_a_body_is_asked_for_where_the_client_waits_for_that(running: Running) -> None:
    waiting = request("/", "Content-Length: 4", "Expect: 100-continue", "Connection: close", method="PUT")
    client = running.connect(waiting)
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"body")
    assert whole_answer(client).endswith(b"PUT|/||-|4|4:b'body'")
    second = running.connect(request("/first") + waiting)  # after the answer that comes before
    while not (received := second.recv(65536)).endswith(b"100 Continue\r\n\r\n"):
        assert received
    second.sendall(b"body")
    assert whole_answer(second).endswith(b"4:b'body'")


def test_a_client_that_goes_before_it_is_asked_for_the_body_stops_no_thread(running: Running) -> None:
    waiting = request("/held") + request("/", "Content-Length: 4", "Expect: 100-continue", method="PUT")
    clients = [running.connect(waiting) for _ in range(THREADS)]
    wait_until(lambda: len([each for each in list(running.server._connections) if each.requests]) == THREADS, "them")
    for client in clients:
        client.close()
    wait_until(lambda: not running.server._connections, "the end of the connections")
    running.application.hold.set()
    assert get(running, "/").status == 200


def test_to_ask_for_a_body_does_not_wait_for_a_slow_reader() -> None:
    """The loop asks, and the loop is what a full buffer waits for."""
    client, served = socket.socketpair()
    connection = Connection(served, {}, MOST_BODY_BYTES, lambda _: None)
    with client, closing(connection):
        while connection.outgoing.kept_bytes < KEPT_BYTES:
            connection.outgoing.send(bytes(KEPT_BYTES - connection.outgoing.kept_bytes))
        client.sendall(request("/", "Content-Length: 4", "Expect: 100-continue", method="PUT"))
        assert not connection.receive()
        assert connection.outgoing.kept_bytes > KEPT_BYTES


def test_answers_without_a_body_have_none(running: Running) -> None:
    client = running.connect(request("/", method="HEAD") + request("/none") + request("/pieces", method="HEAD") + LAST)
    answers = whole_answer(client)
    assert b"Content-Length: 17" in answers
    assert b"HEAD|" not in answers
    assert b"one" not in answers
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.endswith(b"GET|/||-|-|0:b''")


def test_the_old_version_of_http(running: Running) -> None:
    """Without a length, the end of the connection is the end of the answer."""
    assert whole_answer(running.connect(request("/pieces", version="1.0"))).endswith(b"\r\n\r\nonetwo")
    kept = running.connect(request("/", "Connection: keep-alive", version="1.0") + request("/2", version="1.0"))
    answers = whole_answer(kept)
    assert (answers.count(b"Connection: keep-alive"), answers.count(b"Connection: close")) == (1, 1)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (request("/", "Content-Length: many"), 400),
        (request("/", "Content-Length: 4", "Transfer-Encoding: chunked"), 400),  # two lengths: request smuggling
        (request("/", "Content-Length: 4", "Content-Length: 5"), 400),
        (request("/", "X-Name : value"), 400),
        (request("/", "Transfer-Encoding: chunked", method="POST") + b"no length\r\n", 400),
        (request("http://", "X: y"), 400),
        (request("/", version="3.0"), 400),
        (request("/", "X-Long: " + "x" * 2 * HEAD_BYTES), 431),
        (request("/", f"Content-Length: {MOST_BODY_BYTES + 1}", method="POST"), 413),
        (request("/", *["X-Many: x"] * 20_000), 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(running: Running, sent: bytes, status: int) -> None:
    client = running.connect()
    with_refusal = threading.Thread(target=_send_what_is_taken, args=(client, sent))
    with_refusal.start()
    answer = _answer_of(client)
    with_refusal.join()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in answer
    assert get(running, "/").status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("/v1/files", f"Content-Length: {MOST_BODY_BYTES + 1}", method="POST"), 413),
        (request("/v1/files", "Transfer-Encoding: chunked", method="POST") + b"no length\r\n", 400),
        (request("/v1/batches?limit=1", "X-Name : value"), 400),
        (request("/v1/batches", "X-Long: " + "x" * 2 * HEAD_BYTES), 431),
        (request("/%76%31/batches", "Content-Length: many"), 400),
        (request("/v1/fails"), 500),
    ],
)
def test_clients_of_openai_read_its_form_of_an_error(running: Running, sent: bytes, status: int) -> None:
    client = running.connect()
    sender = threading.Thread(target=_send_what_is_taken, args=(client, sent))
    sender.start()
    head, _, body = _answer_of(client).partition(b"\r\n\r\n")
    sender.join()
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/json" in head
    assert b"X-Request-Id: " in head
    error = json.loads(body)["error"]
    assert error.pop("message").endswith(".")
    kind = "server_error" if status == 500 else "invalid_request_error"
    assert error == {"type": kind, "param": None, "code": None}


def test_a_refusal_before_any_address_has_no_form_of_the_address_before(running: Running) -> None:
    answers = whole_answer(running.connect(request("/v1/batches") + b"nonsense\r\n\r\n"))
    assert b"text/plain" in answers.partition(b"HTTP/1.1 400 ")[2]


def _send_what_is_taken(client: socket.socket, data: bytes) -> None:
    with suppress(ConnectionError):
        client.sendall(data)


def _answer_of(client: socket.socket) -> bytes:
    received = b""
    try:
        while part := client.recv(65536):
            received += part
    except ConnectionError:
        pass
    return received


def test_a_chunked_body_beyond_the_limit_is_refused(running: Running) -> None:
    client = running.connect(request("/", "Transfer-Encoding: chunked", method="POST"))
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    sender = threading.Thread(target=_send_what_is_taken, args=(client, chunk * 4))
    sender.start()
    assert _answer_of(client).startswith(b"HTTP/1.1 413 ")
    sender.join()


def test_a_refusal_comes_after_the_answers_before_it(running: Running) -> None:
    answers = whole_answer(running.connect(request("/1") + b"nonsense\r\n\r\n"))
    assert answers.index(b"GET|/1|") < answers.index(b"HTTP/1.1 400 ")


def test_headers_that_could_pass_for_others_are_left_out(running: Running) -> None:
    """`X_Seen` and `X-Seen` have one name in WSGI: a proxy that removes the second must not let the first through."""
    answer = whole_answer(running.connect(request("/", "X_Seen: forged", "Connection: close")))
    assert answer.endswith(b"GET|/||-|-|0:b''")
    twice = whole_answer(running.connect(request("/", "X-Seen: a", "X-Seen:  b ", "Connection: close")))
    assert b"|a, b|" in twice


def test_a_change_of_the_protocol_is_ignored(running: Running) -> None:
    answer = whole_answer(running.connect(request("/1", "Connection: Upgrade", "Upgrade: h2c") + b"whatever"))
    assert b"GET|/1|" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_whole_address_is_read_as_its_path(running: Running) -> None:
    answer = whole_answer(running.connect(request("http://x:80/a?b=c#d", "Connection: close")))
    assert b"GET|/a|b=c|" in answer


def test_an_answer_that_cannot_be_finished_is_cut_off(running: Running) -> None:
    """A client sees that something is missing."""
    assert whole_answer(running.connect(request("/short"))).endswith(b"half")
    begun = whole_answer(running.connect(request("/fails_late")))
    assert b"begun" in begun
    assert not begun.endswith(b"0\r\n\r\n")
    failed = get(running, "/fails")
    assert (failed.status, failed.getheader("Connection")) == (500, "close")


def test_a_reader_that_takes_nothing_holds_back_the_sender_until_it_goes(running: Running) -> None:
    client = running.connect(request("/endless"), receive_bytes=4096)
    (connection,) = wait_until(lambda: list(running.server._connections), "the connection")
    wait_until(lambda: connection.outgoing.kept_bytes > KEPT_BYTES, "a full buffer")
    client.close()
    assert running.application.ended_early.wait(LIMIT_SECONDS)
    wait_until(lambda: not running.server._connections, "the end of the connection")


def test_the_end_waits_for_requests_that_are_there(running: Running) -> None:
    client = running.connect(request("/held"))
    wait_until(lambda: any(each.requests for each in list(running.server._connections)), "the request")
    running._stops.set()
    wait_until(lambda: running.server._is_finishing, "the beginning of the end")
    with pytest.raises(ConnectionError):
        running.connect(request("/"))
    running.application.hold.set()
    assert b"GET|/held|" in whole_answer(client)


def test_the_end_does_not_wait_for_connections_that_are_kept(running: Running) -> None:
    """Nor for a client that would ask again and again: the answer under way is its last one, and says so."""
    idle, half, busy = running.http(), running.connect(request("/half")[:-2]), running.http()
    idle.request("GET", "/")
    idle.getresponse().read()
    busy.request("GET", "/held")
    wait_until(lambda: any(each.requests for each in list(running.server._connections)), "the request")
    wait_until(lambda: any(each.reader.began_at for each in list(running.server._connections)), "the half request")
    running._stops.set()
    wait_until(lambda: running.server._is_finishing, "the beginning of the end")
    assert idle.sock.recv(1) == b""
    assert half.recv(1) == b""
    running.application.hold.set()
    answer = busy.getresponse()
    assert answer.read().startswith(b"GET|/held|")
    assert answer.getheader("Connection") == "close"
    running.stop()


def test_requests_that_came_at_once_are_all_answered_at_the_end(running: Running) -> None:
    client = running.connect(request("/held") + request("/2"))
    wait_until(lambda: any(len(each.requests) == 2 for each in list(running.server._connections)), "both requests")
    running._stops.set()
    wait_until(lambda: running.server._is_finishing, "the beginning of the end")
    running.application.hold.set()
    answers = whole_answer(client)
    assert answers.index(b"GET|/held|") < answers.index(b"Connection: close") < answers.index(b"GET|/2|")
    assert answers.count(b"Connection: close") == 1


def test_connections_that_come_together_are_spread_over_the_processes(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that share a listener are woken by a connection. Who took one waits, so that the next one is another's."""
    monkeypatch.setattr(buffered_server, "LET_OTHERS_SECONDS", 2 * LIMIT_SECONDS)
    running.stop()
    listener = socket.create_server(("127.0.0.1", 0))
    running.port = listener.getsockname()[1]
    servers = [BufferedServer(running.application, listener.dup(), THREADS, 75, MOST_BODY_BYTES) for _ in range(2)]
    serving = [threading.Thread(target=each.serve, args=(2 * LIMIT_SECONDS,)) for each in servers]
    for each in serving:
        each.start()
    for sent in (1, 2):
        running.connect()
        wait_until(lambda sent=sent: sum(len(each._connections) for each in servers) == sent, "the connection")
    assert [len(each._connections) for each in servers] == [1, 1]
    for server, thread in zip(servers, serving, strict=True):
        server.interrupt()
        thread.join(LIMIT_SECONDS)
        server.finish(LIMIT_SECONDS)
    listener.close()


def test_an_interrupt_ends_what_serves_at_once(running: Running) -> None:
    running.stop()
    listener = socket.create_server(("127.0.0.1", 0))
    server = BufferedServer(running.application, listener, THREADS, 75, MOST_BODY_BYTES)
    serving = threading.Thread(target=server.serve, args=(2 * LIMIT_SECONDS,))
    serving.start()
    server.interrupt()
    serving.join(LIMIT_SECONDS)
    assert not serving.is_alive()
    server.finish(LIMIT_SECONDS)
