"""Which messages a webhook gets: one for each change from its creation on, made once, in the words of its format."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from app import db
from app.db import transaction
from app.models import WorkerSighting
from app.services import Services
from app.services.message import outbox
from tests.services import stories
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until
from tests.webhooks.subscriptions import messages, subscribe

LIFE = ["batch.state_changed", "batch.staged", "batch.started", "batch.paused", "batch.resumed", "batch.completed"]
LINE = (
    b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions",'
    b' "body": {"model": "m", "messages": [{"role": "user", "content": "x"}]}}\n'
)
OPENAI = ["batch.completed", "batch.failed", "batch.expired", "batch.cancelled"]


def live(services: Services) -> int:
    """Take a batch through its life, with a pause; return its id."""
    batch_id = stories.create(services)
    list(stories.walk(services, batch_id, "stage * run pause resume *"))
    return batch_id


def test_each_change_of_state_is_told_once(services: Services, receiver: Receiver) -> None:
    """The id of a message is that of the audit row; an edit is not told."""
    webhook = subscribe(services, receiver)
    batch_id = live(services)
    for _ in range(3):
        services.sweeper.sweep()
    told = {row["version"]: row for row in stories.audit(services, batch_id) if row["kind"] != "edit"}
    assert sorted(receiver.ids) == sorted(f"msg_{batch_id}_{version}" for version in told)
    by_version = sorted(receiver.received, key=lambda each: each.json["data"]["version"])
    assert [each.type for each in by_version] == LIFE
    for each in by_version:
        row, data = told[each.json["data"]["version"]], each.json["data"]
        assert each.json["timestamp"] == row["at"]
        assert (data["batch_id"], data["name"]) == (batch_id, "contracts")
        assert {name: data[name] for name in ("trigger", "from_state", "to_state", "actor", "reason")} == {
            name: row[name] for name in ("trigger", "from_state", "to_state", "actor", "reason")
        }
    assert [each["status"] for each in messages(services, webhook)] == ["DELIVERED"] * len(LIFE)


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("stage * run cancel", "batch.cancelled"),
        ("stage * run pause", "batch.paused"),
        ("stage *", "batch.staged"),
        ("stage", "batch.state_changed"),
    ],
)
def test_the_type_of_the_last_change(services: Services, receiver: Receiver, way: str, told: str) -> None:
    subscribe(services, receiver)
    list(stories.walk(services, stories.create(services), way))
    services.sweeper.sweep()
    assert max(receiver.received, key=lambda each: each.json["data"]["version"]).type == told


def test_a_failure_has_its_code(services: Services, receiver: Receiver) -> None:
    subscribe(services, receiver, "batch.failed", "batch.expired")
    failed = stories.bring(services, "ANALYZING", documents=1, max_attempts=1)
    stories.fail(services, stories.lease_one(services, failed), retryable=False)
    services.sweeper.sweep()
    (told,) = receiver.received
    assert (told.type, told.json["data"]["batch_id"]) == ("batch.failed", failed)
    assert told.json["data"]["failure"] == "all_tasks_failed"


def test_a_deadline_that_passes_is_told_as_expired(services: Services, receiver: Receiver) -> None:
    subscribe(services, receiver, "batch.expired")
    batch_id = stories.bring(services, "ANALYZING")
    stories.set_deadline(services, batch_id, services.clock.now() - timedelta(seconds=1))
    services.sweeper.sweep()
    services.sweeper.sweep()
    assert receiver.types == ["batch.expired"]


def test_only_what_is_subscribed(services: Services, receivers: Callable[..., Receiver]) -> None:
    """Who wants both a type and `batch.state_changed` is told once, by the type."""
    some, every, none = receivers(), receivers(), receivers()
    subscribe(services, some, "batch.paused", "batch.state_changed")
    subscribe(services, every, "batch.state_changed")
    subscribe(services, none, "limit.near")
    live(services)
    services.sweeper.sweep()
    assert sorted(some.types) == sorted(["batch.paused", *["batch.state_changed"] * 5])
    assert every.types == ["batch.state_changed"] * 6
    assert none.received == []
    assert sorted(some.ids) == sorted(every.ids)


def test_nothing_of_before_it_was_created_or_while_it_was_disabled(services: Services, receiver: Receiver) -> None:
    before = live(services)
    webhook = subscribe(services, receiver)
    services.sweeper.sweep()
    assert receiver.received == []
    services.webhooks.change(webhook["id"], {"enabled": False})
    stories.act(services, before, "reset")
    services.sweeper.sweep()
    services.webhooks.change(webhook["id"], {"enabled": True})
    services.sweeper.sweep()
    assert receiver.received == []
    stories.act(services, before, "stage")
    services.sweeper.sweep()
    assert [each.json["data"]["trigger"] for each in receiver.received] == ["stage"]


def test_a_second_webhook_takes_nothing_from_the_first(services: Services, receivers: Callable[..., Receiver]) -> None:
    first, second = receivers(), receivers()
    subscribe(services, first)
    batch_id = stories.bring(services, "STAGED")
    subscribe(services, second)
    stories.act(services, batch_id, "run")
    services.sweeper.sweep()
    assert [each.json["data"]["trigger"] for each in first.received].count("stage") == 1
    assert "run" in [each.json["data"]["trigger"] for each in second.received]
    assert {"batch.started"} <= set(first.types) & set(second.types)


def test_a_change_that_committed_late_is_found_by_its_version(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look by time finds nothing, as of a transaction that took long to commit."""
    subscribe(services, receiver)
    services.sweeper.sweep()  # compares all versions
    monkeypatch.setattr(outbox, "COMPARE_SECONDS", 3_600.0)
    monkeypatch.setattr(outbox, "RECENT", -timedelta(hours=1))
    batch_id = stories.create(services)
    stories.act(services, batch_id, "stage")
    services.sweeper.sweep()
    assert receiver.received == []
    monkeypatch.setattr(outbox, "COMPARE_SECONDS", -1.0)
    services.sweeper.sweep()
    assert [each.json["data"]["trigger"] for each in receiver.received] == ["stage"]


def test_two_leaders_make_a_message_once(
    services: Services, receiver: Receiver, another: Callable[..., Services]
) -> None:
    webhook, other = subscribe(services, receiver), another()
    batch_id = stories.create(services)
    for action in ("stage", "*", "run", "pause", "resume", "pause"):
        list(stories.walk(services, batch_id, action))
        services.courier.make_messages()
        other.courier.make_messages()
    made = messages(services, webhook)
    assert len({each["message_id"] for each in made}) == len(made) == 6


class KilledError(Exception):
    """Stands for a process that dies."""


def test_killed_before_any_statement_nothing_is_lost_and_nothing_twice(
    services: Services, receiver: Receiver, another: Callable[..., Services]
) -> None:
    """Messages and places are one transaction: each statement, BEGIN and COMMIT of it is the last one once."""
    webhook = subscribe(services, receiver, "batch.state_changed")
    for point in range(1, 100):
        batch_id = stories.create(services)
        stories.act(services, batch_id, "stage")
        mortal = another()
        left = [point]

        def reach(*_: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise KilledError

        for moment in ("before_cursor_execute", "commit"):
            event.listen(mortal.engine, moment, reach)
        try:
            mortal.courier.make_messages()
            survived = True
        except KilledError:
            survived = False
        finally:
            for moment in ("before_cursor_execute", "commit"):
                event.remove(mortal.engine, moment, reach)
        services.courier.make_messages()
        made = [each["message_id"] for each in messages(services, webhook)]
        assert len(made) == len(set(made)) == point
        if survived:
            break
    assert point > 5


def test_an_action_pays_nothing(services: Services, receiver: Receiver, statements: list[str]) -> None:
    """An action sends the same statements, with webhooks or without."""
    first, second = stories.bring(services, "ANALYZING"), stories.bring(services, "ANALYZING")
    stories.act(services, first, "pause")
    stories.act(services, first, "resume")
    statements.clear()
    stories.act(services, first, "pause")
    without = list(statements)
    subscribe(services, receiver)
    statements.clear()
    stories.act(services, second, "pause")
    assert statements == without


def test_openai_format_tells_ends_of_batches_of_files(services: Services, receiver: Receiver) -> None:
    """OpenAI's events, once the files of the batch are made; other batches are not known to its API."""
    subscribe(services, receiver, *OPENAI, format="openai")
    live(services)
    batch_id = stories.create_of_file(services, LINE)
    for _ in range(3):
        services.sweeper.sweep()
    assert stories.state_of(services, batch_id) == "ANALYZING"
    stories.finish_all(services, batch_id)
    services.courier.make_messages()
    services.courier.send(inline=True)
    assert receiver.received == []  # its output file is not made yet
    for _ in range(3):
        services.sweeper.sweep()
    (told,) = receiver.received
    assert (told.json["object"], told.type) == ("event", "batch.completed")
    assert told.json["data"] == {"id": f"batch_{batch_id}"}
    assert services.file_batches.show(f"batch_{batch_id}").row.output_file_id is not None


def test_a_limit_that_is_near(services: Services, receiver: Receiver) -> None:
    """Once for each limit of a run, from 80 % on; a raised limit is another one."""
    subscribe(services, receiver, "limit.near")
    batch_id = stories.bring(services, "STAGED", documents=10, max_cost=10)
    stories.act(services, batch_id, "run")
    for number, task in enumerate(stories.lease(services, batch_id, most=8), 1):
        stories.complete(services, task, {"text": "x", "usage": {"cost": 1}})
        services.sweeper.sweep()
        assert len(receiver.received) == (number >= 8)
    services.sweeper.sweep()
    (told,) = receiver.received
    assert told.json["data"] == {
        "batch_id": batch_id, "name": "contracts", "run": 1, "limit": "max_cost", "used": 8, "allowed": 10,
    }  # fmt: skip


def seen(services: Services, worker: str, seconds_ago: float) -> None:
    """Let a worker be seen last so long ago."""
    rows = db.table_of(WorkerSighting)
    services.sightings.leased(worker, 0)
    services.sightings.write()
    with transaction(services.engine) as connection:
        at = db.now(connection) - timedelta(seconds=seconds_ago)
        connection.execute(update(rows).where(rows.c.worker == worker).values(last_seen_at=at))


def test_a_worker_that_is_silent(services: Services, receiver: Receiver) -> None:
    """Once for each silence; not of one that was silent before the webhook was created."""
    seen(services, "gone before", 1_000)
    subscribe(services, receiver, "worker.silent")
    seen(services, "present", -1_000)
    services.sweeper.sweep()
    assert receiver.received == []
    seen(services, "now silent", 89.9)
    wait_until(lambda: services.sweeper.sweep() or receiver.received, "the message of the silent worker")
    services.sweeper.sweep()
    assert [each.json["data"]["worker"] for each in receiver.received] == ["now silent"]


def test_a_connection_that_closes_and_opens(services: Services, receiver: Receiver) -> None:
    subscribe(services, receiver, "connection.closed", "connection.open")
    for _ in range(2):  # a second failure is no second closing
        stories.report_calls(services, "failed")
    services.sweeper.sweep()
    stories.report_calls(services, "succeeded")
    services.sweeper.sweep()
    assert receiver.types == ["connection.closed", "connection.open"]
    assert {each.json["data"]["connection"] for each in receiver.received} == {"local"}
    assert len(set(receiver.ids)) == 2
