"""Shares of the threads: no connection takes all of them while tasks of others come."""

import pytest

from app.worker.held_leases import HeldLeases, Lease
from app.worker.shares import RECENT_SECONDS, Shares
from app.worker.task import Task
from tests.worker.connections.conftest import Clock


def leased(number: int, connection: str, is_probe: bool = False) -> Lease:
    task = Task(str(number), 1, 1, "ANALYZE", 1, {"connection": connection, "model": "m"}, f"t.{number}.1")
    return Lease(task if not is_probe else Task(**{**task.__dict__, "is_probe": True}), 60.0, 0.0)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldLeases:
    monkeypatch.setattr("app.worker.held_leases.time.monotonic", lambda: 1.0)
    return HeldLeases(running=4, waiting=4, answers=100)


def started(held: HeldLeases) -> list[str]:
    found = []
    while lease := held.start_next():
        found.append(lease.connection)
    return found


def test_one_connection_has_all_threads(held: HeldLeases) -> None:
    held.add([leased(number, "a") for number in range(8)])
    assert started(held) == ["a"] * 4


def test_two_connections_share_them(held: HeldLeases) -> None:
    held.add([*(leased(number, "a") for number in range(6)), leased(10, "b")])
    assert started(held) == ["a", "a", "b"]


def test_a_connection_that_hangs_blocks_no_lease_of_others(held: HeldLeases) -> None:
    held.add([*(leased(number, "a") for number in range(6)), leased(10, "b")])
    started(held)
    held.remove(["t.10.1"])
    assert held.capacity() == 6  # the four of `a` that wait do not count
    surplus = [leased(20, "a"), leased(21, "a")]
    assert held.add([*surplus, leased(22, "b"), leased(23, "b")]) == surplus
    assert started(held) == ["b", "b"]


def test_a_probe_takes_no_share(held: HeldLeases) -> None:
    held.add([*(leased(number, "a") for number in range(3)), leased(10, "b")])
    started(held)
    assert held.add([leased(20, "a", is_probe=True)]) == []
    assert started(held) == ["a"]


def test_a_connection_without_tasks_leaves_its_share_after_a_while() -> None:
    clock = Clock()
    shares = Shares(4, 4, clock)
    shares.came("b")
    for _ in range(2):
        shares.started("a")
    assert not shares.has_room("a")
    clock.now += RECENT_SECONDS + 1
    assert shares.has_room("a")
