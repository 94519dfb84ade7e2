"""Heartbeats: leases are renewed before they expire, and revoked leases are noticed."""

import threading
import time
from collections.abc import Iterator

import pytest

from app.worker import heartbeat as module
from app.worker import held_leases
from app.worker.heartbeat import Heartbeat
from app.worker.held_leases import HeldLeases, Lease
from app.worker.service.client import Client
from app.worker.service.service_answers import Unauthorized
from app.worker.task import Task
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.fake_service import FakeService


@pytest.fixture
def held() -> HeldLeases:
    return HeldLeases(running=2, waiting=100, answers=100)


@pytest.fixture
def long_leases(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that outlast any test, and are renewed at once all the same."""
    service.lease_seconds = 600.0
    monkeypatch.setattr(held_leases, "RENEW_AFTER", 1 / 6_000)
    monkeypatch.setattr(module, "MAX_RETRY_SECONDS", 0.1)


@pytest.fixture
def beating(client: Client, held: HeldLeases) -> Iterator[list[int]]:
    """Run a heartbeat; the list grows with each renewal."""
    renewed: list[int] = []
    stop = threading.Event()
    heartbeat = Heartbeat(client, held, lambda: renewed.append(1))
    thread = threading.Thread(target=heartbeat.run, args=(stop,), daemon=True)
    thread.start()
    yield renewed
    stop.set()
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive()


def take(service: FakeService, client: Client, held: HeldLeases, amount: int) -> list[Lease]:
    service.add(amount)
    granted = client.lease(amount, 0)
    leases = [
        Lease(Task(row["id"], 1, 1, "ANALYZE", 1, {}, row["lease_token"]), seconds, time.monotonic())
        for row, seconds in zip(granted.rows, granted.lease_seconds, strict=True)
    ]
    held.add(leases)
    return leases


def test_leases_are_renewed_in_bulk_and_never_run_out(
    service: FakeService, client: Client, held: HeldLeases, beating: list[int], long_leases: None
) -> None:
    late: list[str] = []

    def judge(_: object) -> None:
        late.extend(number for number, task in service.tasks.items() if task.expires_at < time.time())

    service.order("heartbeat", judge)
    take(service, client, held, 20)
    held.start_next()
    wait_until(lambda: len(beating) >= 2)
    assert late == []
    assert 2 <= len(service.calls["heartbeat"]) <= 40
    assert all(len(body["leases"]) == 20 for body in service.calls["heartbeat"])


def test_a_fresh_lease_is_left_alone(
    service: FakeService, client: Client, held: HeldLeases, beating: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looks = held.due, []
    monkeypatch.setattr(held, "due", lambda: looks.append(1) or look())
    take(service, client, held, 3)
    wait_until(lambda: len(looks) >= 3)
    assert service.calls["heartbeat"] == []


def test_a_task_whose_lease_is_revoked_is_dropped_and_the_others_are_renewed(
    service: FakeService, client: Client, held: HeldLeases, beating: list[int], long_leases: None
) -> None:
    leases = take(service, client, held, 3)
    running = held.start_next()
    assert running is leases[0]
    service.unwanted = {"1", "2"}
    wait_until(lambda: leases[0].task.stopped and leases[1].task.stopped)
    assert held.counts() == {"waiting": 1, "running": 1, "unreported": 0}
    assert not leases[2].task.stopped
    assert beating


def test_a_service_that_is_unavailable_is_called_again_soon(
    service: FakeService, client: Client, held: HeldLeases, beating: list[int], long_leases: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    beat, beats = client.heartbeat, []
    monkeypatch.setattr(client, "heartbeat", lambda *args: beats.append(1) or beat(*args))
    leases = take(service, client, held, 2)
    service.stop()
    wait_until(lambda: len(beats) >= 3)
    service.start()
    renewed_after = leases[0].granted_at
    wait_until(lambda: leases[0].granted_at > renewed_after and leases[1].granted_at > renewed_after)
    assert not leases[0].task.stopped


def test_refusals_and_nonsense_do_not_end_it(
    service: FakeService, client: Client, held: HeldLeases, beating: list[int], long_leases: None
) -> None:
    service.order("heartbeat", 422, "drop_after", 503)
    take(service, client, held, 1)
    wait_until(lambda: beating)
    assert len(service.calls["heartbeat"]) == 4


def test_an_answer_with_too_few_rows_renews_nothing(
    client: Client, held: HeldLeases, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = take(service, client, held, 2)
    renewed: list[int] = []
    monkeypatch.setattr(service, "heartbeat", lambda _: {"leases": []})
    Heartbeat(client, held, lambda: renewed.append(1)).renew(leases)
    assert renewed == []
    assert leases[0].renew_at > time.monotonic()


def test_many_leases_go_in_portions(
    service: FakeService, client: Client, held: HeldLeases, beating: list[int], long_leases: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "MAX_LEASES", 4)
    take(service, client, held, 10)
    wait_until(lambda: len(service.calls["heartbeat"]) >= 3)
    assert [len(body["leases"]) for body in service.calls["heartbeat"][:3]] == [4, 4, 2]


def test_an_invalid_token_is_raised_to_the_caller(service: FakeService, client: Client, held: HeldLeases) -> None:
    leases = take(service, client, held, 1)
    service.token = "another"
    with pytest.raises(Unauthorized):
        Heartbeat(client, held, lambda: None).renew(leases)
