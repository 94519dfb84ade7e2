"""Opening the port, and the URL of the server."""

import socket

import pytest

from app.server.address import CannotListen, base_url, open_port
from config import Config
from tests.support.postgres import free_port
from tests.support.waiting import LIMIT_SECONDS


def test_a_free_port_is_listened_on() -> None:
    with open_port("127.0.0.1", free_port()) as listener:
        socket.create_connection(listener.getsockname(), timeout=LIMIT_SECONDS).close()


def test_a_port_in_use_is_refused_in_one_sentence() -> None:
    with open_port("127.0.0.1", free_port()) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"^Cannot listen on 127.0.0.1:{port}: Address already in use\."):
            open_port("127.0.0.1", port)


@pytest.mark.parametrize(
    "host", ["no.such.host.invalid", "192.0.2.1"]
)  # a name that does not exist; an address of no machine
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(CannotListen, match=rf"^Cannot listen on {host}:5000: "):
        open_port(host, 5000)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5000"),
        ("localhost", "http://localhost:5000"),
        ("0.0.0.0", "http://127.0.0.1:5000"),
        ("::", "http://[::1]:5000"),
        ("::1", "http://[::1]:5000"),
    ],
)
def test_the_address_for_programs_on_this_machine(host: str, url: str) -> None:
    assert base_url(Config(database_url="sqlite://", host=host)) == url
