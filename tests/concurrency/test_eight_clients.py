"""Eight clients at a barrier change the same batch: one wins each version, and none gets a 500."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import pytest
import requests

from tests.concurrency.conftest import Call
from tests.concurrency.over_http import Caller
from tests.support.server import LiveServer, Shared
from tests.support.waiting import LIMIT_SECONDS

CLIENTS, ROUNDS = 8, 12
FLIP = {"ANALYZING": "pause", "PAUSED": "resume"}


@contextmanager
def eight(call: Call, server: LiveServer) -> Iterator[Any]:
    """Give a function that lets eight clients ask at once, and returns their answers."""
    clients = [call(server) for _ in range(CLIENTS)]
    barrier = Barrier(CLIENTS, timeout=LIMIT_SECONDS)

    def ask(client: Caller, *arguments: Any, **headers: str) -> requests.Response:
        barrier.wait()
        return client.ask(*arguments, **headers)

    with ThreadPoolExecutor(CLIENTS) as pool:
        yield lambda *args, **kwargs: [f.result() for f in [pool.submit(ask, c, *args, **kwargs) for c in clients]]


@pytest.mark.soak(rounds=50)
def test_one_of_eight_wins_each_version(shared: Shared, call: Call) -> None:
    """Contract 4: If-Match is judged before the table, and every change adds 1 to the version: one winner each."""
    client = call(shared.server)
    batch_id = client.analyzing(1)
    with eight(call, shared.server) as all_ask:
        for _ in range(ROUNDS):
            before = client.batch(batch_id)
            answers = all_ask(batch_id, FLIP[before["state"]], If_Match=f'"{before["version"]}"')
            assert client.versions_won(answers) == [before["version"] + 1]
            assert client.batch(batch_id)["version"] == before["version"] + 1


@pytest.mark.soak(rounds=50)
def test_without_a_version_the_table_decides(shared: Shared, call: Call) -> None:
    """Contract 4: versions 1..N have no gap and no twin, and each row begins where its predecessor ended."""
    client = call(shared.server)
    batch_id = client.analyzing(1)
    won = [1, 2, 3, 4]
    with eight(call, shared.server) as all_ask:
        for turn in range(ROUNDS):
            won += client.versions_won(all_ask(batch_id, ("pause", "resume")[turn % 2]))
    rows = client.audit(batch_id)
    assert [row["version"] for row in rows] == won == list(range(1, 5 + ROUNDS))
    assert [row["from_state"] for row in rows[1:]] == [row["to_state"] for row in rows[:-1]]
    assert [row["trigger"] for row in rows[4:]] == ["pause", "resume"] * (ROUNDS // 2)
