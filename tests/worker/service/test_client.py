"""The client: which answer is which exception, and what it sends."""

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from app.worker.service import client as module
from app.worker.service.client import Address, Client
from app.worker.service.service_answers import Refused, Unauthorized, Unavailable
from tests.worker.fake_service import FakeService


def test_leases_and_their_length(service: FakeService, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answered_at = datetime.now(UTC).replace(microsecond=0)
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda _: format_datetime(answered_at, usegmt=True))
    service.add(3)
    granted = client.lease(2, 0, lease_seconds=30, batch_id=9)
    assert [row["id"] for row in granted.rows] == ["1", "2"]
    # Date has no fraction of a second: one second is subtracted.
    ends = [datetime.fromisoformat(row["lease_expires_at"]) - answered_at for row in granted.rows]
    assert granted.lease_seconds == [end.total_seconds() - 1 for end in ends]
    assert all(end >= timedelta(seconds=60) for end in ends)
    wanted = {"worker": "a worker", "max_tasks": 2, "wait_seconds": 0, "lease_seconds": 30, "batch_id": 9}
    assert service.calls["lease"] == [wanted]


def test_an_option_that_is_not_set_is_not_sent(service: FakeService, client: Client) -> None:
    client.lease(1, 0)
    client.heartbeat([])
    assert service.calls["lease"] == [{"worker": "a worker", "max_tasks": 1, "wait_seconds": 0}]
    assert service.calls["heartbeat"] == [{"worker": "a worker", "leases": []}]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_service_that_answers_retry_after_counts_as_away(service: FakeService, client: Client, status: int) -> None:
    service.order("report", (status, {"Retry_After": "7"}))
    with pytest.raises(Unavailable, match="on order") as caught:
        client.report(b'{"reports":[]}', [])
    assert (caught.value.status, caught.value.retry_after_seconds) == (status, 7.0)


@pytest.mark.parametrize(
    ("header", "seconds"), [("0", 0.1), ("86400", 30.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-5", 0.1)]
)
def test_retry_after_is_held_to_limits(
    service: FakeService, client: Client, header: str, seconds: float | None
) -> None:
    service.order("report", (503, {"Retry_After": header}))
    with pytest.raises(Unavailable) as caught:
        client.report(b'{"reports":[]}', [])
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422])
def test_a_no_is_refused_with_its_reason(service: FakeService, client: Client, status: int) -> None:
    service.order("report", status)
    with pytest.raises(Refused, match=f"{status}: Refused on order") as caught:
        client.report(b'{"reports":[]}', [])
    assert caught.value.status == status
    assert not isinstance(caught.value, Unauthorized)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_accepted_is_unwelcome(service: FakeService, client: Client, status: int) -> None:
    service.order("lease", status)
    with pytest.raises(Unauthorized):
        client.lease(1, 0)


def test_a_redirect_is_not_followed(service: FakeService, client: Client) -> None:
    service.order("lease", (302, {"Location": "http://127.0.0.2/"}))
    with pytest.raises(Unavailable) as caught:
        client.lease(1, 0)
    assert caught.value.status == 302


def test_no_connection_is_away(client: Client, service: FakeService) -> None:
    service.stop()
    with pytest.raises(Unavailable, match="no connection") as caught:
        client.lease(1, 0)
    assert caught.value.status is None


@pytest.mark.parametrize("order", ["drop_before", "drop_after"])
def test_a_dropped_connection_is_away(service: FakeService, client: Client, order: str) -> None:
    service.order("lease", order)
    with pytest.raises(Unavailable):
        client.lease(1, 0)


def test_a_service_that_hangs_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(Address(f"http://127.0.0.1:{silent.getsockname()[1]}", "t"), "w")
        with pytest.raises(Unavailable, match="in time"):
            client.lease(1, 0)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"other": []}', b'{"tasks": null}', b""])
def test_another_service_in_its_place_is_away(
    service: FakeService, client: Client, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr("requests.Response.content", property(lambda _: body))
    with pytest.raises(Unavailable, match="not Interlock"):
        client.lease(1, 0)


def test_a_netrc_file_does_not_replace_the_token(
    service: FakeService, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert client.lease(1, 0).rows == []


def test_the_token_is_not_shown() -> None:
    assert "the-secret" not in repr(Address("http://x", "the-secret"))


def test_release_goes_in_portions(service: FakeService, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LEASES", 2)
    service.add(5)
    leased = client.lease(5, 0).rows
    client.release([{"task_id": row["id"], "lease_token": row["lease_token"]} for row in leased], 5.0)
    assert [len(body["leases"]) for body in service.calls["release"]] == [2, 2, 1]
    assert service.statuses() == {"QUEUED": 5}
