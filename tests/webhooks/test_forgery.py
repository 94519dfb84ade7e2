"""Server-side request forgery: what nobody can make the service call, however the address is written or resolved."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_network
from typing import Any

import pytest

from app.errors import Invalid
from app.services import Services
from app.services.message.deliveries import DueDelivery
from app.services.webhook import sending
from app.services.webhook.sending import Sender
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until
from tests.webhooks.subscriptions import subscribe

LITERALS = (
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
)
FORMS = (
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "//example.com/",
    "example.com",
    "http://",
    "http://user:secret@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com/#part",
    "http://example.com:99999/",
    "http://example.com:0/",
    "http://exa mple.com/",
    "http://example.com\\@127.0.0.1/",
    "http://[::1/",
    "http://[fe80::1%25lo]/",
    "http://%31%32%37.0.0.1/",
    "http://exämple.com/",
    "http://example.com/\r\nX-Header: 1",
)
NOBODY = Sender(())


def message(url: str) -> DueDelivery:
    return DueDelivery(1, 1, "msg_1_1", {"type": "webhook.test"}, 0, url, ["whsec_AAAA"])


@pytest.mark.parametrize("url", LITERALS)
def test_an_address_that_is_not_public_is_refused_when_it_is_given_and_when_it_is_called(url: str) -> None:
    objection = NOBODY.objection_to(url)
    assert objection is not None
    assert "WEBHOOK_ALLOWED_NETWORKS" in objection
    outcome = NOBODY.send(message(url))
    assert not outcome.is_delivered
    assert outcome.http_status is None
    assert "is a private or reserved address" in str(outcome.error)


@pytest.mark.parametrize("url", FORMS)
def test_other_forms_are_refused(url: str) -> None:
    assert NOBODY.objection_to(url)


@pytest.mark.parametrize("url", ["https://example.com", "http://8.8.8.8:8080/hook?a=b", "https://[2606:4700::1111]/x"])
def test_what_is_public_is_taken(url: str) -> None:
    assert NOBODY.objection_to(url) is None


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What a name resolves to, try after try: a name server that a caller owns may answer anything."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in answers:
            return real(host, port, *args, **kwargs)
        found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [entry for each in found for entry in real(each, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(sending.socket, "getaddrinfo", resolve)
    return answers


def test_a_name_of_a_private_address_is_refused_at_the_try(
    receiver: Receiver, resolved: dict[str, list[list[str]]]
) -> None:
    for private in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["169.254.169.254"]):
        resolved["inside.example"] = [private]
        outcome = NOBODY.send(message(f"http://inside.example:{receiver.port}/"))
        assert "is a private or reserved address" in str(outcome.error)
    assert receiver.received == []


def test_the_name_of_this_machine_is_refused(receiver: Receiver) -> None:
    assert NOBODY.objection_to(f"http://localhost:{receiver.port}/") is None  # names are not resolved there
    assert "is a private or reserved address" in str(NOBODY.send(message(f"http://localhost:{receiver.port}/")).error)
    assert receiver.received == []


def test_a_name_that_leads_elsewhere_a_moment_later_changes_nothing(
    receiver: Receiver, resolved: dict[str, list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the connection goes to the address that was checked, and the name is not resolved again for it."""
    connected: list[str] = []

    class Socket(socket.socket):
        def connect(self, address: Any) -> None:
            connected.append(address[0])
            raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr(sending.socket, "socket", Socket)
    resolved["rebinding.example"] = [["8.8.8.8"], ["127.0.0.1"]]
    url = f"http://rebinding.example:{receiver.port}/"
    NOBODY.send(message(url))
    assert connected == ["8.8.8.8"]
    assert "is a private or reserved address" in str(NOBODY.send(message(url)).error)
    assert connected == ["8.8.8.8"]
    assert receiver.received == []


def test_an_allowed_network_is_allowed_alone(receiver: Receiver) -> None:
    sender = Sender([ip_network("127.0.0.0/8")])
    assert sender.objection_to(receiver.url) is None
    assert sender.send(message(receiver.url)).is_delivered
    assert sender.objection_to("http://[::ffff:127.0.0.1]/") is None
    assert sender.objection_to("http://10.0.0.1/")
    assert sender.objection_to("http://[::1]/")


def test_a_webhook_to_a_private_address_is_not_created(services: Services) -> None:
    for url in ("http://10.0.0.1/", "file:///etc/passwd"):
        with pytest.raises(Invalid) as refused:
            subscribe(services, url)
        assert set(refused.value.facts["errors"]) == {"url"}
    webhook = subscribe(services, "https://example.com/")
    with pytest.raises(Invalid):
        services.webhooks.change(webhook["id"], {"url": "http://169.254.169.254/"})


@pytest.fixture
def dripping() -> Iterator[int]:
    """The port of a server that sends its answer byte by byte, for ever."""
    stopped = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not stopped.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        stopped.set()
        thread.join()


def test_an_answer_that_does_not_end_is_given_up(dripping: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is of the whole try, not of each read."""
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    outcome = Sender([ip_network("127.0.0.0/8")]).send(message(f"http://127.0.0.1:{dripping}/"))
    assert outcome.error == "The receiver did not answer within 0 s."


def test_tls_needs_a_valid_certificate_of_the_name(receiver: Receiver) -> None:
    sender = Sender([ip_network("127.0.0.0/8")])
    outcome = sender.send(message(f"https://127.0.0.1:{receiver.port}/"))
    assert str(outcome.error).startswith("TLS failed: ")
    assert sending._CONTEXT.verify_mode is ssl.CERT_REQUIRED
    assert sending._CONTEXT.check_hostname
    wait_until(lambda: receiver.received == [])
