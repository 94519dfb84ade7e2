"""`verify` finds each fault that SQL statements outside the services plant, unless the database refuses them."""

from contextlib import suppress

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.models import defences
from app.services import Services
from app.services.upkeep import verify as verification
from app.services.upkeep.verify import verify
from tests.services import stories
from tests.support.invariants import broken_invariants

# invariant -> SQL that breaks it, for a batch that is COMPLETED. `now` stands for the creation's own time.
FAULTS = {
    "the versions of the audit trail are 1..N without a gap, and N is the version of the batch": [
        "DELETE FROM audit_log WHERE batch_id = :id AND version = 3",
        "DELETE FROM audit_log WHERE batch_id = :id",
        "UPDATE batches SET version = version + 1 WHERE id = :id",
        "UPDATE audit_log SET version = version + 1 WHERE batch_id = :id AND version = 5",
    ],
    "each audit row starts from the state that the audit row before it led to": [
        "UPDATE audit_log SET from_state = 'PAUSED' WHERE batch_id = :id AND version = 4",
        "UPDATE audit_log SET to_state = 'PAUSED' WHERE batch_id = :id AND version = 3",
        "UPDATE audit_log SET from_state = 'SAVED' WHERE batch_id = :id AND version = 1",
    ],
    "the last audit row leads to the batch's state": [
        "UPDATE batches SET state = 'SAVED' WHERE id = :id",
        "UPDATE audit_log SET to_state = 'ANALYZING' WHERE batch_id = :id AND version = 5",
    ],
    "a batch has a failure if and only if it is FAILED": [
        "UPDATE batches SET failure_code = 'cancelled' WHERE id = :id",
        "UPDATE batches SET state = 'FAILED' WHERE id = :id",
    ],
    "a batch is purged if and only if its audit trail says so, and then it is archived": [
        "UPDATE batches SET purged_at = updated_at, archived_at = updated_at WHERE id = :id",
        "UPDATE audit_log SET trigger = 'purge' WHERE batch_id = :id AND version = 5",
    ],
    "nothing is left of a purged batch, unless it is being deleted": [
        "UPDATE batches SET purged_at = updated_at, archived_at = updated_at WHERE id = :id AND run = 1",
    ],
    "a document or task that was erased has no content": [
        "UPDATE documents SET erased_at = created_at WHERE batch_id = :id",
        "UPDATE tasks SET erased = true WHERE batch_id = :id AND kind = 'STAGE'",
    ],
    "the counts of a run equal the numbers of its tasks": [
        "DELETE FROM tasks WHERE batch_id = :id AND kind = 'STAGE'",
        "DELETE FROM task_counts WHERE batch_id = :id AND kind = 'ANALYZE'",
        "UPDATE task_counts SET completed = completed + 1 WHERE batch_id = :id AND kind = 'ANALYZE'",
        "UPDATE tasks SET status = 'FAILED' WHERE batch_id = :id AND kind = 'ANALYZE'",
        "UPDATE tasks SET run = 2 WHERE batch_id = :id AND kind = 'STAGE'",
    ],
    "the usage of a run is the sum over its tasks and late results": [
        "UPDATE task_counts SET input_tokens = input_tokens + 1 WHERE batch_id = :id AND kind = 'STAGE'",
        "UPDATE task_counts SET cost_nanos = cost_nanos + 1 WHERE batch_id = :id AND kind = 'ANALYZE'",
        "UPDATE tasks SET output_tokens = 1 WHERE batch_id = :id AND kind = 'ANALYZE'",
    ],
    "the usage by prompt and model is the sum over the analysis tasks and late results": [
        "UPDATE usage_counts SET cost_nanos = cost_nanos + 1 WHERE batch_id = :id",
        "UPDATE usage_counts SET run = 2, input_tokens = 1 WHERE batch_id = :id",
    ],
    verification.OF_ATTEMPTS: [
        "UPDATE tasks SET ended_attempts = ended_attempts || replace(ended_attempts, ',0,0,', ',1,0,') WHERE id IN"
        " (SELECT min(id) FROM tasks WHERE batch_id = :id AND kind = 'ANALYZE')",
        "UPDATE tasks SET finished_at = available_at WHERE batch_id = :id AND kind = 'ANALYZE'",
    ],
    "each document found in a folder has one staging task, counted as found": [
        "UPDATE task_counts SET found = 1 WHERE batch_id = :id AND kind = 'STAGE'",
        "UPDATE documents SET run = 1 WHERE batch_id = :id",
    ],
    "a COMPLETED batch has no open task in its present run": [
        "UPDATE tasks SET status = 'QUEUED' WHERE batch_id = :id AND kind = 'ANALYZE'",
        "UPDATE tasks SET status = 'LEASED' WHERE batch_id = :id AND kind = 'ANALYZE'",
    ],
    "the document count of a batch is the number of its documents": [
        "DELETE FROM documents WHERE batch_id = :id",
        "UPDATE batches SET document_count = 7 WHERE id = :id",
    ],
}
CASES = [(invariant, fault) for invariant, faults in FAULTS.items() for fault in faults]


def take_down_the_defences(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for table in ("batches", "audit_log"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
    else:
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        assert len(names) == len(defences.SQLITE)
        for name in names:
            connection.execute(text(f"DROP TRIGGER {name}"))


def test_there_is_a_fault_for_each_invariant() -> None:
    assert set(FAULTS) == {*verification._CHECKS, verification.OF_ATTEMPTS}


@pytest.mark.usefixtures("unsound")
@pytest.mark.parametrize(("invariant", "fault"), CASES, ids=[fault for _, fault in CASES])
def test_each_fault_is_found_and_its_batch_named(services: Services, invariant: str, fault: str) -> None:
    """Contract 4: the invariants of the tables can be checked at any time."""
    sound, batch_id = stories.bring(services, "COMPLETED"), stories.bring(services, "COMPLETED")
    assert list(verify(services.engine)) == []
    with services.engine.begin() as connection:
        take_down_the_defences(connection)
        assert connection.execute(text(fault), {"id": batch_id}).rowcount > 0
    found = list(verify(services.engine))
    assert f"Broken: {invariant}: batches {batch_id}" in found
    assert all(each.endswith(f"batches {batch_id}") for each in found), sound
    assert broken_invariants(services.engine) == found, "what each test of this folder ends in finds the same"


@pytest.mark.parametrize(("invariant", "fault"), CASES, ids=[fault for _, fault in CASES])
def test_the_database_stops_what_touches_states_versions_and_the_audit_log(
    services: Services, invariant: str, fault: str
) -> None:
    """Contract 4: the database itself refuses such a fault as long as its defences stand."""
    batch_id = stories.bring(services, "COMPLETED")
    with services.engine.connect() as connection, connection.begin() as begun:
        stopped = False
        with suppress(DBAPIError):
            stopped = True
            connection.execute(text(fault), {"id": batch_id})
            stopped = False
        begun.rollback()
    on_purpose = {"UPDATE batches SET version = version + 1 WHERE id = :id"}  # is how a change looks; verify finds it
    defended = ("batches SET", "audit_log") if fault not in on_purpose else ()
    assert stopped == any(word in fault for word in defended), invariant


@pytest.mark.usefixtures("unsound")
def test_it_names_twenty_batches_at_most(services: Services) -> None:
    ids = [stories.create(services, documents=1) for _ in range(22)]
    with services.engine.begin() as connection:
        connection.execute(text("DELETE FROM documents"))
    (found,) = verify(services.engine)
    assert found.endswith("batches " + ", ".join(map(str, ids[:20])))
