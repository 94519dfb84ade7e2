"""Purging archived batches: all content goes, the audit trail stays; it may be interrupted, and blocks nobody."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, text

from app import db
from app.cli import cli
from app.db import reading, transaction
from app.errors import Busy
from app.models import Base, Deletion, Document, LateResult, ProgressSample, Prompt, ReadyTarget, ReadyTask, Task
from app.services import Services
from app.services.input import edits
from app.services.upkeep import pace, samples
from app.services.upkeep.deletions import Deletions, Done
from app.services.upkeep.verify import verify
from tests.services.stories import (
    OPERATOR,
    act,
    audit,
    bring,
    complete,
    create_ready,
    document,
    finish_all,
    follow,
    lease,
    rows_of,
    sweep_until_deleted,
    trail,
)
from tests.support.client import ApiClient
from tests.support.row_locks import HoldRow

CONTENT: tuple[type[Base], ...] = (Document, Task, ReadyTask, ReadyTarget, Prompt, ProgressSample)
NOW = timedelta(0)


def archived(services: Services, batch_id: int) -> int:
    edits.archive(services.batches, batch_id, OPERATOR)
    return batch_id


def amounts(services: Services, batch_id: int) -> dict[str, int]:
    """How many rows of each kind a batch has."""
    found = {}
    with reading(services.engine) as connection:
        for model in CONTENT:
            table = db.table_of(model)
            of_batch = select(func.count()).where(table.c.batch_id == batch_id)
            found[table.name] = connection.execute(of_batch).scalar_one()
        late = select(func.count()).select_from(db.table_of(LateResult))
        found["late_results"] = connection.execute(late).scalar_one()
    return found


def with_a_late_result(services: Services) -> int:
    """A batch of two runs with a late result and a sample, COMPLETED."""
    batch_id = bring(services, "ANALYZING", documents=3)
    samples.sample(services.engine)
    late = lease(services, batch_id, most=1)
    act(services, batch_id, "cancel")
    with pytest.raises(Exception, match="FAILED"):
        complete(services, late[0])
    act(services, batch_id, "restage")
    finish_all(services, batch_id)
    act(services, batch_id, "run")
    finish_all(services, batch_id)
    return batch_id


def purge_all(services: Services) -> None:
    for batch in services.purge.due(NOW):
        assert services.purge.begin(batch.id)
    list(Deletions(services.engine).slices())


def test_all_content_goes_and_the_trail_stays(services: Services, client: ApiClient) -> None:
    batch_id, other = with_a_late_result(services), bring(services, "COMPLETED")
    before = amounts(services, batch_id)
    assert [name for name, amount in before.items() if not amount] == ["ready_tasks", "ready_targets"]
    kept = amounts(services, other)
    archived(services, batch_id)
    done = trail(services, batch_id)
    task = rows_of_batch(services, batch_id)[0]
    purge_all(services)
    assert set(amounts(services, batch_id).values()) == {0}
    assert amounts(services, other) == {**kept, "late_results": 0}
    assert trail(services, batch_id) == [*done, "purge"]
    for path in ("", "/tasks", "/documents", "/results", "/requests", "/report"):
        answer = client.get(f"/api/batches/{batch_id}{path}")
        assert answer.status_code == 404
        assert "was archived, and purged on 20" in answer.json["detail"]
    assert client.get(f"/api/tasks/{task}").status_code == 404
    assert [row["trigger"] for row in client.get(f"/api/batches/{batch_id}/audit").json["audit"]][-1] == "purge"


def rows_of_batch(services: Services, batch_id: int) -> list[int]:
    with reading(services.engine) as connection:
        return list(connection.execute(select(Task.id).where(Task.batch_id == batch_id)).scalars())


def test_the_audit_row_has_the_sums_of_what_is_gone(services: Services) -> None:
    batch_id = bring(services, "SAVED", documents=2)
    with reading(services.engine) as connection:
        ids = connection.execute(select(Document.id).where(Document.batch_id == batch_id)).scalars().all()
    edits.replace_document(services.batches, batch_id, ids[1], document(text="another text"), OPERATOR)
    archived(services, batch_id)
    purge_all(services)
    row = audit(services, batch_id)[-1]
    assert (row["trigger"], row["kind"], row["actor"], row["role"]) == ("purge", "edit", "system:purge", "system")
    contents = [hashlib.sha256(each).hexdigest() for each in (b"text 0", b"another text")]
    summed = hashlib.sha256("".join(f"{each}\n" for each in sorted(contents)).encode()).hexdigest()
    assert row["context"]["documents"] == {"amount": 2, "sha256": summed}
    assert row["context"]["prompts"]["amount"] == 1
    assert row["context"]["named"] == {str(ids[1]): contents[1]}
    replaced = next(each for each in audit(services, batch_id) if each["trigger"] == "replace_document")
    assert replaced["context"] == {"document_id": ids[1], "sha256": contents[1]}


def test_ready_made_lines_go(services: Services) -> None:
    batch_id = archived(services, follow(services, create_ready(services, 120), "COMPLETED"))
    purge_all(services)
    assert set(amounts(services, batch_id).values()) == {0}
    assert audit(services, batch_id)[-1]["context"]["ready_tasks"]["amount"] == 120


def test_only_what_was_archived_long_enough_ago(services: Services) -> None:
    young, busy = archived(services, bring(services, "COMPLETED")), bring(services, "COMPLETED")
    assert [batch.id for batch in services.purge.due(NOW)] == [young]
    assert services.purge.due(timedelta(days=1)) == []
    assert services.purge.begin(busy) is False
    assert services.purge.begin(4711) is False


def test_a_purge_that_dies_is_continued(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slices are small, and the process dies after the first of them: verify is clean, and another one goes on."""
    monkeypatch.setattr(pace, "FIRST_ROWS", 2)
    monkeypatch.setattr(pace, "MOST_ROWS", 2)
    batch_id = archived(services, bring(services, "COMPLETED", documents=5))
    assert services.purge.begin(batch_id)
    done = next(Deletions(services.engine).slices())
    assert (done.batch_id, done.amount) == (batch_id, 2)
    assert amounts(services, batch_id)["tasks"] == 8
    assert list(verify(services.engine)) == []
    sweep_until_deleted(services)
    assert set(amounts(services, batch_id).values()) == {0}
    assert trail(services, batch_id).count("purge") == 1
    assert batch_id not in Deletions(services.engine).batches()


def test_two_processes_at_one_deletion_do_no_harm(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_ROWS", 1)
    batch_id = archived(services, bring(services, "COMPLETED", documents=4))
    assert services.purge.begin(batch_id)
    assert services.purge.begin(batch_id) is False
    one, other = Deletions(services.engine).slices(), Deletions(services.engine).slices()
    for _ in range(3):
        next(one), next(other)
    list(one), list(other)
    assert set(amounts(services, batch_id).values()) == {0}


def test_the_setting_purges_by_itself(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = archived(services, bring(services, "COMPLETED"))
    services.sweeper._deleted_at = -1e9
    services.sweeper.sweep()
    assert trail(services, batch_id)[-1] == "archive"  # it is off by default
    services.sweeper._purge_after = NOW
    services.sweeper._deleted_at = -1e9
    services.sweeper.sweep()
    sweep_until_deleted(services)
    assert audit(services, batch_id)[-1]["actor"] == "system:purge"
    assert set(amounts(services, batch_id).values()) == {0}


def test_a_report_of_a_purged_batch_is_refused(services: Services) -> None:
    batch_id = bring(services, "ANALYZING")
    leased = lease(services, batch_id)
    act(services, batch_id, "cancel")
    archived(services, batch_id)
    purge_all(services)
    with pytest.raises(Exception, match="There is no task"):
        complete(services, leased[0])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has no row locks
def test_a_batch_that_is_locked_is_left_for_later(services: Services, hold_row: HoldRow) -> None:
    batch_id = archived(services, bring(services, "COMPLETED"))
    with hold_row(batch_id):
        services.sweeper._purge_after = NOW
        services.sweeper._deleted_at = -1e9
        services.sweeper.sweep()
    assert trail(services, batch_id)[-1] == "archive"


# --- the command

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)
    return lambda *words: CliRunner().invoke(cli, words)


def test_the_command(services: Services, run: Run) -> None:
    batch_id, other = (archived(services, bring(services, "COMPLETED")) for _ in range(2))
    with transaction(services.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM batches")).scalar_one() == 2
    dry = run("purge", "--archived-before", "0d", "--dry-run")
    assert (dry.exit_code, dry.stdout.splitlines()[-1]) == (0, "2 batches. Nothing was deleted.")
    assert f"Would delete batch {batch_id} (2 documents, 0 lines, 4 tasks), archived on 20" in dry.stdout
    assert amounts(services, batch_id)["tasks"] == 4
    none = run("purge", "--archived-before", "1d")
    assert (none.exit_code, none.stdout.splitlines()[-1]) == (0, "0 batches are purged.")
    one = run("purge", "--archived-before", "0h", "--batch", str(other))
    assert (one.exit_code, one.stdout.splitlines()[-1]) == (0, "1 batches are purged.")
    assert trail(services, batch_id)[-1] == "archive"
    assert run("purge", "--archived-before", "0d").exit_code == 0
    assert set(amounts(services, batch_id).values()) == {0}
    assert audit(services, batch_id)[-1]["actor"].startswith("cli:")
    assert run("verify").stdout == "No contradictions.\n"


def test_the_command_finishes_what_an_earlier_one_left_beside_the_service(
    services: Services, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the deletion at that moment: the command does not end before all is deleted."""
    batch_id = archived(services, bring(services, "COMPLETED", documents=4))
    assert services.purge.begin(batch_id)
    slices, seen = Deletions.slices, []

    def held_once(self: Deletions) -> Iterator[Done]:
        seen.append(self)
        return iter(()) if len(seen) == 1 else slices(self)

    monkeypatch.setattr(Deletions, "slices", held_once)
    assert run("purge", "--archived-before", "0d").exit_code == 0
    assert set(amounts(services, batch_id).values()) == {0}


def test_the_command_waits_for_those_who_write(services: Services, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = archived(services, bring(services, "COMPLETED", documents=4))
    slices, seen = Deletions.slices, []

    def busy_twice(self: Deletions) -> Iterator[Done]:
        seen.append(self)
        if len(seen) < 3:
            raise Busy("Another transaction locked the database for too long.")
        return slices(self)

    monkeypatch.setattr(Deletions, "slices", busy_twice)
    assert run("purge", "--archived-before", "0d").exit_code == 0
    assert set(amounts(services, batch_id).values()) == {0}


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1w", "1.5d", "١d"])
def test_an_age_is_a_number_of_days_or_hours(run: Run, age: str) -> None:
    refused = run("purge", "--archived-before", age)
    assert refused.exit_code == 2
    assert "write a number of days or hours, as 30d or 12h" in " ".join(refused.stderr.replace("│", "").split())


def test_ctrl_c_ends_it_between_two_slices(services: Services, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_ROWS", 1)
    batch_id = archived(services, bring(services, "COMPLETED", documents=4))
    pauses = iter([0, 0])

    def interrupted(_: float) -> None:
        if next(pauses, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("app.server.purging.time.sleep", interrupted)
        ended = run("purge", "--archived-before", "0d")
    assert ended.exit_code == 130
    assert "Interrupted. What is left is deleted by the service, or by the next purge." in ended.stdout
    assert 0 < amounts(services, batch_id)["tasks"] < 8
    assert list(verify(services.engine)) == []
    assert run("purge", "--archived-before", "0d").exit_code == 0
    assert set(amounts(services, batch_id).values()) == {0}
    assert rows_of(services, Deletion) == []
