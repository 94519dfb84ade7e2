"""A batch whose row somebody holds from outside: requests wait in line, and nobody else waits for it.

On PostgreSQL alone: SQLite has no row locks.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.services import Services
from tests.concurrency import stories
from tests.concurrency.conftest import Call
from tests.concurrency.over_http import Caller, answered
from tests.support.row_locks import HoldRow
from tests.support.server import Shared
from tests.support.waiting import wait_until

SIX = ("pause", "resume", "pause", "resume", "pause", "cancel")


@pytest.fixture
def database_url(postgres_url: str) -> str:
    return postgres_url


def queue(client: Caller, batch_id: int, action: str) -> Any:
    response = client.ask(batch_id, action)
    body = answered(response, 202)
    assert (body["success"], body["status"]) == (None, "QUEUED")
    assert response.headers["Location"] == f"/api/requests/{body['request_id']}"
    assert int(response.headers["Retry-After"]) >= 1
    return body


def applied(client: Caller, request_ids: list[str]) -> list[Any]:
    """Wait until requests are out of the queue, and return what became of them."""

    def ended() -> bool:
        return all(client.get(f"/requests/{each}")["status"] != "QUEUED" for each in request_ids)

    wait_until(ended, "the end of the queue")
    return [client.get(f"/requests/{each}") for each in request_ids]


@pytest.mark.soak(rounds=50)
def test_six_requests_wait_in_line(shared_postgres: Shared, call: Call, hold_row: HoldRow) -> None:
    """Contract 4: a request that meets a locked row is queued; the queue is applied in order when the lock goes."""
    client = call(shared_postgres.server)
    batch_id = client.analyzing(2)
    with hold_row(batch_id):
        asked = [queue(client, batch_id, action) for action in SIX]
        assert [each["queue_position"] for each in asked] == [1, 2, 3, 4, 5, 6]
        listed = client.get(f"/batches/{batch_id}/requests")["requests"]
        assert [(each["action"], each["status"]) for each in listed] == [(action, "QUEUED") for action in SIX]
        assert client.batch(batch_id)["version"] == 4
    ended = applied(client, [each["request_id"] for each in asked])
    assert [(each["action"], each["status"]) for each in ended] == [(action, "APPLIED") for action in SIX]
    assert [each["version"] for each in ended] == [5, 6, 7, 8, 9, 10]
    rows = client.audit(batch_id)[4:]
    assert [row["trigger"] for row in rows] == list(SIX)
    assert [row["request_id"] for row in rows] == [each["request_id"] for each in asked]
    assert client.batch(batch_id)["failure"]["code"] == "cancelled"


@pytest.mark.soak(rounds=50)
def test_six_requests_at_once_and_none_is_lost(shared_postgres: Shared, call: Call, hold_row: HoldRow) -> None:
    """Contract 4: queued requests are applied in the order they came; each is judged anew at its turn."""
    client = call(shared_postgres.server)
    batch_id = client.analyzing(1)
    with hold_row(batch_id), ThreadPoolExecutor(6) as pool:
        clients = [call(shared_postgres.server) for _ in SIX]
        asked = list(pool.map(lambda one: queue(one, batch_id, "pause"), clients))
        in_line = [each["id"] for each in client.get(f"/batches/{batch_id}/requests")["requests"]]
        # Asked for once all are committed: a request that is queued at the same moment as another may not see it yet.
        assert [client.get(f"/requests/{each}")["queue_position"] for each in in_line] == [1, 2, 3, 4, 5, 6]
        assert sorted(in_line) == sorted(each["request_id"] for each in asked)
    ended = applied(client, in_line)
    assert [each["status"] for each in ended] == ["APPLIED"] + ["REFUSED"] * 5
    assert all("PAUSED" in each["reason"] for each in ended[1:])
    assert client.batch(batch_id)["version"] == 5


def test_others_do_not_wait(shared_postgres: Shared, call: Call, hold_row: HoldRow) -> None:
    """Contract 4: reads and leases of other batches never wait, reports are stored and answered, edits are 503."""
    client = call(shared_postgres.server)
    locked, other = client.analyzing(2), client.analyzing(1)
    first, last = client.lease(2, batch_id=locked)
    with hold_row(locked):
        assert client.batch(locked)["state"] == "ANALYZING"
        assert {"pause"} <= {each["action"] for each in client.get(f"/batches/{locked}/actions")["actions"]}
        leased_of = {task["batch_id"] for task in client.lease(100)}
        assert other in leased_of
        assert locked not in leased_of
        for task in (first, last):
            told = answered(client.complete(task))
            assert (told["status"], told["batch_state"]) == ("COMPLETED", "ANALYZING")
        assert client.get(f"/tasks/{last['id']}")["result"] == {"text": "an answer"}
        documents = {"documents": [{"name": "a.txt", "text": "x"}]}
        for method, path, body in (
            ("PATCH", "", {"name": "new"}),
            ("DELETE", "", None),
            ("POST", "/documents", documents),
        ):
            refused = client.send(method, f"/batches/{locked}{path}", body)
            assert refused.status_code == 503, refused.text
            assert int(refused.headers["Retry-After"]) >= 1
    wait_until(lambda: client.batch(locked)["state"] == "COMPLETED", "the event that the last report set off")
    assert [row["trigger"] for row in client.audit(locked)[4:]] == ["tasks_finished"]


def test_a_new_request_does_not_overtake(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: a new request waits behind those in line (202), or they are applied first (200)."""
    batch_id = stories.analyzing(services, 1)
    ask = services.batches.request_state_change
    with hold_row(batch_id):
        assert ask(batch_id, "pause", {"if_version": 4})["queue_position"] == 1
        assert ask(batch_id, "resume", {"if_version": 5})["queue_position"] == 2
        assert ask(batch_id, "pause", {"if_version": 4})["queue_position"] == 3  # will have been overtaken
    answer = ask(batch_id, "pause", {"if_version": 6})
    assert (answer["success"], answer["previous_state"], answer["version"]) == (True, "ANALYZING", 7)
    rows = services.reads.requests.page(batch_id)[0]
    assert [(row["status"], row["version"]) for row in rows] == [("APPLIED", 5), ("APPLIED", 6), ("REFUSED", 6)]
    assert stories.trail(services, batch_id)[4:] == ["pause", "resume", "pause"]
