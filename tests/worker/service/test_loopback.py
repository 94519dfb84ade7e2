"""Which addresses no proxy of the environment can reach, and which calls go around it."""

import pytest

from app.server.address import no_proxy_for
from app.worker.service.client import Address, Client
from app.worker.service.loopback import is_loopback
from tests.worker.fake_service import FakeService


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:5000", "http://127.8.9.1/x", "http://[::1]:5000", "https://localhost", "http://LOCALHOST.:1",
        "http://a.localhost:1", "http://0.0.0.0:5000", "http://[::]:1", "http://[::ffff:127.0.0.1]:1",
    ],
)  # fmt: skip
def test_addresses_of_this_machine(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "https://interlock.example", "http://localhost.example", "http://[fe80::1]", ""]
)
def test_addresses_of_other_machines(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_service_on_this_machine_is_called_without_a_proxy(
    service: FakeService, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert client.lease(1, 0).rows == []


def test_another_service_is_called_through_the_proxy_of_the_environment(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake service is the proxy here: it takes the whole URL for a path."""
    monkeypatch.setenv("http_proxy", service.url)
    assert Client(Address("http://interlock.invalid", service.token), "a worker").lease(1, 0).rows == []


@pytest.mark.parametrize(
    ("url", "given", "exempted"),
    [
        ("http://10.0.0.5:5000", {}, "10.0.0.5"),
        ("http://[fd00::5]:5000", {"NO_PROXY": "a.example"}, "a.example,fd00::5"),
        ("http://h:1", {"no_proxy": "b", "NO_PROXY": "a"}, "b,h"),
    ],
)
def test_the_embedded_worker_reaches_its_service_without_a_proxy(
    url: str, given: dict[str, str], exempted: str
) -> None:
    assert no_proxy_for(url, given) == {"no_proxy": exempted, "NO_PROXY": exempted}
