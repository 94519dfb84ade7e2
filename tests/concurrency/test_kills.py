"""kill -9 of the server process between any two statements of a call: each is done whole, or not at all.

Every point is tried, from the first until the call survives. After each kill the call is made again, with its
Idempotency-Key and without one, and the batch is seen through to its end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
import requests
from sqlalchemy import select, update

from app import db
from app.api.schemas.taken import BatchBody
from app.db import transaction
from app.models import Batch, IdempotencyKey
from app.services import Services
from app.services.input import edits
from app.services.upkeep.verify import verify
from tests.concurrency import stories
from tests.concurrency.mortal import asks, dies, mortal_server
from tests.support.databases import NewDatabase
from tests.support.server import LiveServer, Shared
from tests.support.waiting import wait_until

FEWEST_POINTS = 4  # a BEGIN, a statement, a COMMIT, the answer
MOST_POINTS = 80


@dataclass
class Try:
    """One call that is to be cut short: what it asks, and how often its effect is there."""

    path: str
    body: dict[str, Any]
    effects: Callable[[], int]
    again: int | None  # what the same call answers, without a key, when it was done already
    batch_ids: Callable[[], set[int]]


def changes(services: Services, batch_id: int, trigger: str) -> Callable[[], int]:
    """Count the changes of a batch that a trigger made."""
    return lambda: stories.trail(services, batch_id).count(trigger)


def an_action(services: Services) -> Try:
    batch_id = stories.ready(services, 2)
    body = {"action": "stage", "context": {"reason": "it is time"}}
    return Try(f"/batches/{batch_id}/action", body, changes(services, batch_id, "stage"), 409, lambda: {batch_id})


def a_pause(services: Services) -> Try:
    batch_id = stories.analyzing(services, 2)
    stories.lease(services, batch_id, 1)
    body = {"action": "pause"}
    return Try(f"/batches/{batch_id}/action", body, changes(services, batch_id, "pause"), 409, lambda: {batch_id})


def the_last_report(services: Services) -> Try:
    batch_id = stories.analyzing(services, 1)
    (task,) = stories.lease(services, batch_id)
    body = {"lease_token": task["lease_token"], "result": {"text": "paid for"}}

    def effects() -> int:
        return int(services.reads.tasks.show(task["id"])["result"] == body["result"])

    return Try(f"/tasks/{task['id']}/complete", body, effects, 200, lambda: {batch_id})


def the_report_that_crosses_a_limit(services: Services) -> Try:
    batch_id = stories.analyzing(services, 2)
    stories.act(services, batch_id, "pause")
    stories.act(services, batch_id, "resume", max_cost=1)
    (task,) = stories.lease(services, batch_id, 1)
    body = {"lease_token": task["lease_token"], "result": {"text": "paid for", "usage": {"cost": 1}}}

    def effects() -> int:
        return int(services.reads.batches.show(batch_id)["usage"]["cost"])

    return Try(f"/tasks/{task['id']}/complete", body, effects, 200, lambda: {batch_id})


def a_staging_report(services: Services) -> Try:
    batch_id = int(created(services, uuid4().hex))
    stories.act(services, batch_id, "stage")
    (task,) = stories.lease(services, batch_id)
    body = {"lease_token": task["lease_token"], "result": {"text": "what was read"}}

    def effects() -> int:
        return int(services.reads.batches.show(batch_id)["progress"]["analysis"]["total"] == 2)

    return Try(f"/tasks/{task['id']}/complete", body, effects, 200, lambda: {batch_id})


def a_lease(services: Services) -> Try:
    batch_id = stories.analyzing(services, 3)

    def effects() -> int:
        return int(services.reads.batches.show(batch_id)["progress"]["analysis"]["leased"] > 0)

    body = {"worker": "w", "max_tasks": 2, "batch_id": batch_id}
    return Try("/tasks/lease", body, effects, 200, lambda: {batch_id})


def the_body_of(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "documents": [{"name": "a.txt", "text": "read me"}],
        "prompts": [{"name": "one", "text": "1 {document}"}, {"name": "two", "text": "2 {document}"}],
        "models": [{"connection": "local", "model": "textstats"}],
    }


def created(services: Services, name: str) -> int:
    return int(edits.create_batch(services.batches, BatchBody().load(the_body_of(name)), stories.OPERATOR)["id"])


def a_creation(services: Services) -> Try:
    name = uuid4().hex

    def ids() -> set[int]:
        with db.reading(services.engine) as connection:
            return set(connection.execute(select(Batch.id).where(Batch.name == name)).scalars())

    return Try("/batches", the_body_of(name), lambda: len(ids()), None, ids)


WITH_KEY = (an_action, a_lease, a_creation)  # their points are those without a key, and those of the key itself
WITHOUT = (a_pause, the_last_report, a_staging_report, a_lease, a_creation)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def mortal(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Shared]:
    with new_database(request.param) as url, mortal_server(url) as server:
        yield Shared(server, url)


@pytest.fixture
def server(mortal: Shared) -> LiveServer:
    return mortal.server


@pytest.fixture
def services(mortal: Shared, another: Callable[[str], Services]) -> Services:
    """Services of a process that stays alive."""
    return another(mortal.database_url)


def let_claims_grow_old(services: Services) -> None:
    """Move what died callers claimed into the past: a claim is given up when no request could still be at it."""
    keys = db.table_of(IdempotencyKey)
    with transaction(services.engine) as connection:
        claimed_at = db.now(connection) - timedelta(minutes=3)
        connection.execute(update(keys).where(keys.c.status.is_(None)).values(claimed_at=claimed_at))


def send_again(services: Services, server: LiveServer, cut: Try, key: str) -> requests.Response:
    """Send the call with its key until it is decided."""
    response = asks(server, cut.path, cut.body, Idempotency_Key=key)
    if response.status_code == 409 and response.json()["code"] == "idempotency_key_in_use":
        let_claims_grow_old(services)
        response = asks(server, cut.path, cut.body, Idempotency_Key=key)
    return response


def after_the_kill(services: Services, cut: Try) -> int:
    """Find nothing half done; return how often the effect is there."""
    assert list(verify(services.engine)) == []
    done = cut.effects()
    assert done in (0, 1)
    return done


@pytest.mark.soak(rounds=3)
@pytest.mark.parametrize("make", WITH_KEY, ids=lambda make: make.__name__)
def test_killed_anywhere_with_a_key(make: Any, services: Services, server: LiveServer) -> None:
    """Contract 4: the same Idempotency-Key gets the first answer, and the effect exactly once, whatever died."""
    seen, batch_ids = set(), set()
    for point in count(1):
        assert point < MOST_POINTS
        cut, key = make(services), uuid4().hex
        if (answer := dies(server, point, cut.path, cut.body, Idempotency_Key=key)) is not None:
            assert answer.status_code < 300, answer.text
            break
        seen.add(after_the_kill(services, cut))
        first, second = (send_again(services, server, cut, key) for _ in range(2))
        assert first.status_code == second.status_code < 300, first.text
        assert first.content == second.content
        assert second.headers["Idempotency-Replayed"] == "true"
        assert cut.effects() == 1
        batch_ids |= cut.batch_ids()
    see_through(services, batch_ids)
    assert seen == {0, 1}  # killed before the effect, and after it
    assert point > FEWEST_POINTS


@pytest.mark.soak(rounds=3)
@pytest.mark.parametrize("make", WITHOUT, ids=lambda make: make.__name__)
def test_killed_anywhere(make: Any, services: Services, server: LiveServer) -> None:
    """Contract 4: state, version and audit agree after any crash, and the batch can be brought to its end."""
    seen, batch_ids = set(), set()
    for point in count(1):
        assert point < MOST_POINTS
        cut = make(services)
        if (answer := dies(server, point, cut.path, cut.body)) is not None:
            assert answer.status_code < 300, answer.text
            break
        seen.add(done := after_the_kill(services, cut))
        batch_ids |= cut.batch_ids()
        if cut.again:  # without a key, nobody knows that a creation is the same
            answer = asks(server, cut.path, cut.body)
            assert answer.status_code == (cut.again if done else 200), answer.text
            assert cut.effects() == 1
    see_through(services, batch_ids)
    assert seen == {0, 1}
    assert point > FEWEST_POINTS


def see_through(services: Services, batch_ids: set[int]) -> None:
    stories.bring_to_end(services, sorted(batch_ids))
    for batch_id in batch_ids:
        assert stories.trail(services, batch_id).count("tasks_finished") == 1


def test_a_crash_between_the_last_report_and_the_event(
    services: Services, server: LiveServer, mortal: Shared, start_server: Any
) -> None:
    """Contract 5: if the process dies between the last report and the event, the sweeper does it within a second."""
    for point in range(1, MOST_POINTS):
        cut = the_last_report(services)
        (batch_id,) = cut.batch_ids()
        assert dies(server, point, cut.path, cut.body) is None, "no point lies between the report and the event"
        if cut.effects() and stories.state_of(services, batch_id) == "ANALYZING":
            break
    start_server(mortal.database_url)  # which sweeps
    wait_until(lambda: stories.state_of(services, batch_id) == "COMPLETED", "the event that the crash left undone")
    assert stories.trail(services, batch_id)[4:] == ["tasks_finished"]


def test_a_crash_between_the_report_and_the_breakers_pause(
    services: Services, server: LiveServer, mortal: Shared, start_server: Any
) -> None:
    """The money is counted with the report, exactly once; the sweeper pauses what the dead process did not."""
    left = None
    for point in range(1, MOST_POINTS):
        cut = the_report_that_crosses_a_limit(services)
        (batch_id,) = cut.batch_ids()
        died = dies(server, point, cut.path, cut.body) is None
        after_the_kill(services, cut)
        if died and cut.effects() and stories.state_of(services, batch_id) == "ANALYZING":
            left = batch_id
        if not died:
            break
    assert left, "no point lies between the report and the pause"
    start_server(mortal.database_url)  # which sweeps
    wait_until(lambda: stories.state_of(services, left) == "PAUSED", "the pause that the crash left undone")
    assert stories.trail(services, left)[4:] == ["pause", "resume", "pause"]
    assert services.reads.audit.page(left)[0][-1]["actor"] == "system:breaker"
    stories.act(services, left, "resume", max_cost=None)
    stories.bring_to_end(services, [left])
