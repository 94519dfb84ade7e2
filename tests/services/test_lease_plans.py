"""A lease from a batch that PostgreSQL's statistics do not know yet reads the next tasks, not the whole run."""

from typing import Any

import pytest
from psycopg2 import extensions
from sqlalchemy import text

from app import db
from app.services import Services
from tests.services.stories import bring, lease

TASKS = 30_000  # with these, the index of the queue has one level more than that of the run, and looks more expensive
SORT_OFF, SORT_ON = "SET LOCAL enable_sort = off; ", "SET LOCAL enable_sort = on; "
COPIES = text("""
INSERT INTO tasks (batch_id, run, kind, status, attempt, critical, target, available_at, past_leases,
    input_tokens, output_tokens, cost_nanos)
SELECT batch_id, run, kind, status, attempt, critical, target, available_at + number * interval '1 us', past_leases,
    input_tokens, output_tokens, cost_nanos
FROM (SELECT * FROM tasks WHERE batch_id = :batch_id AND status = 'QUEUED' LIMIT 1) AS one,
    generate_series(1, :tasks) AS number
""")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent to PostgreSQL, one text for each round trip, without BEGIN."""
    found: list[str] = []

    def send(cursor: Any, query: Any, vars: Any = None) -> None:
        found.append(cursor.mogrify(query, vars).decode().removeprefix("BEGIN ISOLATION LEVEL READ COMMITTED; "))
        extensions.cursor.execute(cursor, query, vars)

    monkeypatch.setattr("app.round_trips.OneTripCursor.send", send)
    return found


@pytest.mark.usefixtures("unsound")  # the copies of a task are not counted
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_batch_without_statistics_is_read_by_the_index_of_the_queue(services: Services, sent: list[str]) -> None:
    batch_id = bring(services, "ANALYZING")
    with db.transaction(services.engine) as connection:
        connection.execute(COPIES, {"batch_id": batch_id, "tasks": TASKS})
    sent.clear()
    assert len(lease(services, batch_id, most=1)) == 1
    read = [each for each in sent if SORT_OFF in each]
    assert len(read) == 2  # which batches have work, and the lease
    for statement in read:
        plan = explained(services, statement)
        assert "ix_tasks_queued" in plan, plan
        assert "ix_tasks_of_run" not in plan, plan
    assert sent[sent.index(read[1]) + 1].startswith(SORT_ON)  # the next statement may sort again


def explained(services: Services, statement: str) -> str:
    with db.transaction(services.engine) as connection:
        plan = connection.exec_driver_sql(statement.replace(SORT_OFF, f"{SORT_OFF}EXPLAIN ").replace("%", "%%"))
        return "\n".join(plan.scalars())
