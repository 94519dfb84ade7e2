"""Requests that meet a row locked from outside: queued, and applied in order when the lock is free.

PostgreSQL alone: SQLite has one writer and no row locks, so that there is nothing to queue behind.
"""

from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from sqlalchemy import update

from app import db
from app.db import transaction
from app.errors import Busy, Locked
from app.models import StateChangeRequest
from app.services import Services
from app.services.batch import request_queue
from app.services.input import edits
from config import Config
from tests.services import stories
from tests.services.stories import OPERATOR, act, ask, audit, bring, create, trail, view
from tests.support.row_locks import HoldRow


@pytest.fixture
def config(postgres_url: str) -> Config:
    return Config(database_url=postgres_url, embedded_worker=False, sweeper=False, lock_timeout_ms=30)


def queue(services: Services, batch_id: int, action: str, **context: Any) -> str:
    """Request an action of a locked batch; return the request's id."""
    answer = ask(services, batch_id, action, **context)
    assert (answer["success"], answer["status"]) == (None, "QUEUED"), answer
    return str(answer["request_id"])


def became(services: Services, *requests: str) -> list[str]:
    return [services.reads.requests.show(each)["status"] for each in requests]


def let_time_go_by(services: Services, request_id: str) -> None:
    """Move the expiry of a request into the past."""
    table = db.table_of(StateChangeRequest)
    with transaction(services.engine) as connection:
        past = db.now(connection) - timedelta(seconds=1)
        connection.execute(update(table).where(table.c.id == request_id).values(expires_at=past))


def test_a_request_that_meets_a_lock_is_queued(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: not lost: 202 with a `request_id`."""
    batch_id = create(services)
    with hold_row(batch_id):
        before = view(services, batch_id)
        answer = ask(services, batch_id, "stage", reason="go")
        assert (answer["success"], answer["status"], answer["queue_position"]) == (None, "QUEUED", 1)
        shown = services.reads.requests.show(answer["request_id"])
        expected = {"batch_id": batch_id, "action": "stage", "status": "QUEUED", "reason": None, "version": None}
        assert {name: shown[name] for name in expected} == expected
        assert (shown["finished_at"], shown["queue_position"]) == (None, 1)
        services.sweeper.sweep()
        assert (view(services, batch_id), became(services, shown["id"])) == (before, ["QUEUED"])


@pytest.mark.parametrize("by", ["the sweeper", "the next request", "the next edit"])
def test_queued_requests_are_applied_in_order(services: Services, hold_row: HoldRow, by: str) -> None:
    """Contract 4: in their order, each as it was requested; a new request does not overtake them."""
    batch_id = bring(services, "STAGED")
    with hold_row(batch_id):
        actions = ["run", "pause", "resume", "cancel", "reset"]
        requests = [queue(services, batch_id, each, reason=f"because of {each}", actor=each) for each in actions]
        assert [services.reads.requests.show(each)["queue_position"] for each in requests] == [1, 2, 3, 4, 5]
    if by == "the sweeper":
        services.sweeper.sweep()
    elif by == "the next request":
        assert act(services, batch_id, "stage")["previous_state"] == "SAVED"
    else:
        edits.rename(services.batches, batch_id, {"name": "renamed"}, OPERATOR)
    rows = audit(services, batch_id)[3:8]
    assert [row["trigger"] for row in rows] == actions
    assert [row["request_id"] for row in rows] == requests
    assert [(row["actor"], row["role"], row["reason"]) for row in rows] == [
        (each, "operator", f"because of {each}") for each in actions
    ]
    shown = [services.reads.requests.show(each) for each in requests]
    assert [(each["status"], each["version"]) for each in shown] == [("APPLIED", row["version"]) for row in rows]
    assert all(each["finished_at"] and each["queue_position"] is None for each in shown)
    listed = services.reads.requests.page(batch_id)[0]
    assert [each["id"] for each in listed] == requests


def test_a_request_waits_behind_those_that_wait(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: while the lock is held a new request goes to the end of the queue."""
    batch_id = bring(services, "ANALYZING")
    with hold_row(batch_id):
        first = queue(services, batch_id, "pause")
        second = queue(services, batch_id, "resume")
        assert services.reads.requests.show(second)["queue_position"] == 2
    services.sweeper.sweep()
    assert became(services, first, second) == ["APPLIED"] * 2
    assert trail(services, batch_id)[-2:] == ["pause", "resume"]


def test_a_queued_request_is_judged_at_its_turn(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: each is decided in its turn: if an earlier one made it impossible, it is refused with the reason."""
    batch_id = bring(services, "ANALYZING")
    with hold_row(batch_id):
        requests = [queue(services, batch_id, action) for action in ("pause", "pause", "run", "cancel")]
    services.sweeper.sweep()
    assert became(services, *requests) == ["APPLIED", "REFUSED", "REFUSED", "APPLIED"]
    refused = services.reads.requests.show(requests[1])
    assert refused["reason"] == "pause needs a batch that is ANALYZING; this one is PAUSED."
    assert refused["version"] == services.reads.requests.show(requests[0])["version"]
    assert trail(services, batch_id)[-2:] == ["pause", "cancel"]


def test_a_request_becomes_possible_while_it_waits(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: it is not decided when it arrives: what the holder of the lock will do is not known."""
    batch_id = bring(services, "STAGED")
    with hold_row(batch_id):
        requests = [queue(services, batch_id, "run"), queue(services, batch_id, "pause")]
    services.sweeper.sweep()
    assert became(services, *requests) == ["APPLIED", "APPLIED"]


def test_if_match_is_judged_at_its_turn(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: its version is compared with the one that the batch has then."""
    batch_id = bring(services, "ANALYZING")
    version = view(services, batch_id)["version"]
    with hold_row(batch_id):
        right = queue(services, batch_id, "pause", if_version=version)
        stale = queue(services, batch_id, "resume", if_version=version)
        foreseen = queue(services, batch_id, "cancel", if_version=version + 1)
    services.sweeper.sweep()
    assert became(services, right, stale, foreseen) == ["APPLIED", "REFUSED", "APPLIED"]
    reason = f"You expected version {version}; the batch is at version {version + 1}."
    assert services.reads.requests.show(stale)["reason"] == reason


def test_a_request_expires_while_the_batch_is_locked(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: never later than REQUEST_TTL_S; then EXPIRED, even if the row is still locked."""
    batch_id = bring(services, "ANALYZING")
    with hold_row(batch_id):
        early, late = queue(services, batch_id, "pause"), queue(services, batch_id, "cancel")
        let_time_go_by(services, early)
        services.sweeper.sweep()
        assert became(services, early, late) == ["EXPIRED", "QUEUED"]
        assert services.reads.requests.show(early)["reason"] == request_queue.EXPIRED
        assert services.reads.requests.show(late)["queue_position"] == 1
    services.sweeper.sweep()
    assert became(services, early, late) == ["EXPIRED", "APPLIED"]
    assert trail(services, batch_id)[-1] == "cancel"


@pytest.mark.parametrize("by", ["the sweeper", "the next request"])
def test_what_has_expired_is_not_applied_when_the_lock_is_free(services: Services, hold_row: HoldRow, by: str) -> None:
    """Contract 4: also without a sweep."""
    batch_id = bring(services, "ANALYZING")
    with hold_row(batch_id):
        late = queue(services, batch_id, "cancel")
        let_time_go_by(services, late)
    if by == "the sweeper":
        services.sweeper.sweep()
    else:
        act(services, batch_id, "pause")
    assert became(services, late) == ["EXPIRED"]
    assert "cancel" not in trail(services, batch_id)


def test_a_request_lives_as_long_as_the_settings_say(services: Services, hold_row: HoldRow, another: Any) -> None:
    """Contract 6: REQUEST_TTL_S."""
    brief, batch_id = another(request_ttl_s=7), create(services)
    with hold_row(batch_id):
        for each, seconds in ((services, 60), (brief, 7)):
            shown = services.reads.requests.show(queue(each, batch_id, "stage"))
            row = next(r for r in stories.rows_of(services, StateChangeRequest) if r.id == shown["id"])
            assert (row.expires_at - row.created_at).total_seconds() == seconds


@pytest.mark.parametrize("edit", ["rename", "add_documents", "archive"])
def test_edits_of_a_locked_batch_are_not_queued(services: Services, hold_row: HoldRow, edit: str) -> None:
    """Contract 4: edits and DELETE answer 503 with `Retry-After`."""
    batch_id = create(services)
    make = {
        "rename": lambda: edits.rename(services.batches, batch_id, {"name": "x"}, OPERATOR),
        "add_documents": lambda: edits.add_documents(services.batches, batch_id, [stories.document()], OPERATOR),
        "archive": lambda: edits.archive(services.batches, batch_id, OPERATOR),
    }
    with hold_row(batch_id):
        before = stories.snapshot(services)
        with pytest.raises(Locked) as refused:
            make[edit]()
        assert (refused.value.status, refused.value.retry_after_seconds) == (503, 1)
        assert stories.snapshot(services) == before
    make[edit]()


@pytest.mark.parametrize("state", ["STAGING", "ANALYZING"])
def test_a_report_is_stored_while_the_row_is_locked(services: Services, hold_row: HoldRow, state: str) -> None:
    """Contract 4: a report is stored and answered, and its event follows when the lock is released."""
    batch_id = bring(services, state, documents=1)
    leased = stories.lease_one(services, batch_id)
    with hold_row(batch_id):
        stories.complete(services, leased)
        services.sweeper.sweep()
        assert view(services, batch_id)["state"] == state
        assert stories.task(services, leased["id"])["status"] == "COMPLETED"
    services.sweeper.sweep()
    assert view(services, batch_id)["state"] == {"STAGING": "STAGED", "ANALYZING": "COMPLETED"}[state]


def test_an_event_that_is_due_comes_before_what_waits(services: Services, hold_row: HoldRow) -> None:
    """Contract 4 and 5: the report was there first."""
    batch_id = bring(services, "ANALYZING", documents=1)
    leased = stories.lease_one(services, batch_id)
    with hold_row(batch_id):
        stories.complete(services, leased)
        waiting = queue(services, batch_id, "cancel")
    services.sweeper.sweep()
    assert trail(services, batch_id)[-1] == "tasks_finished"
    assert became(services, waiting) == ["REFUSED"]


def test_reads_and_other_batches_never_wait(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: reads, and leases of other batches, never wait; nor do their actions."""
    batch_id, other = bring(services, "ANALYZING"), bring(services, "ANALYZING")
    with hold_row(batch_id):
        assert view(services, batch_id)["state"] == "ANALYZING"
        assert len(stories.tasks_of(services, batch_id)) == 4
        assert services.batches.can_transition(batch_id, "pause") == (True, "")
        assert ask(services, batch_id, "pause", dry_run=True)["success"]
        assert len(stories.lease(services, other)) == 2
        act(services, other, "pause")
        assert create(services) > other


def test_a_batch_that_is_gone_when_its_turn_comes(services: Services, hold_row: HoldRow, postgres_url: str) -> None:
    """Contract 4: the holder of the lock archived the batch: the requests are refused."""
    batch_id = create(services)
    with closing(psycopg2.connect(postgres_url)) as holder, holder.cursor() as cursor:
        cursor.execute("UPDATE batches SET version = version + 1, archived_at = now() WHERE id = %s", (batch_id,))
        cursor.execute(
            """INSERT INTO audit_log (batch_id, version, trigger, kind, from_state, to_state, actor, role, context, at)
               VALUES (%s, 2, 'archive', 'edit', 'SAVED', 'SAVED', 'psql', 'admin', '{}', now())""",
            (batch_id,),
        )
        waiting = queue(services, batch_id, "stage")
        holder.commit()
    services.sweeper.sweep()
    shown = services.reads.requests.show(waiting)
    assert (shown["status"], shown["reason"]) == ("REFUSED", f"There is no batch {batch_id}.")


def test_a_queue_has_an_end(services: Services, hold_row: HoldRow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 4: a limit on everything; beyond it nothing is stored."""
    monkeypatch.setattr(request_queue, "LONGEST_QUEUE", 2)
    batch_id = create(services)
    with hold_row(batch_id):
        queue(services, batch_id, "stage")
        queue(services, batch_id, "stage")
        answer = ask(services, batch_id, "stage")
        assert (answer["success"], answer["code"], answer["status"]) == (False, Busy.code, 503)
        assert len(stories.rows_of(services, StateChangeRequest)) == 2


def test_unknown_words_and_rehearsals_are_answered_at_once(services: Services, hold_row: HoldRow) -> None:
    """Contract 5: what needs no lock is never queued."""
    batch_id = create(services)
    with hold_row(batch_id):
        assert ask(services, batch_id, "nonsense")["code"] == "unknown_action"
        assert ask(services, batch_id, "tasks_finished")["code"] == "unknown_action"
        assert ask(services, batch_id, "stage", dry_run=True)["success"] is True
        assert ask(services, 4711, "stage")["code"] == "not_found"
    assert stories.rows_of(services, StateChangeRequest) == []
