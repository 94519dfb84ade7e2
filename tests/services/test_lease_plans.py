"""A lease from a batch that PostgreSQL's statistics do not know yet reads the next tasks, not the whole run."""

from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from app import db
from app.services import Services
from tests.services.stories import bring, lease

TASKS = 30_000  # with these, the index of the queue has one level more than that of the run, and looks more expensive
_COPIES = text("""
INSERT INTO tasks (batch_id, run, kind, status, attempt, critical, target, available_at, past_leases,
    input_tokens, output_tokens, cost_nanos)
SELECT batch_id, run, kind, status, attempt, critical, target, available_at + number * interval '1 us', past_leases,
    input_tokens, output_tokens, cost_nanos
FROM (SELECT * FROM tasks WHERE batch_id = :batch_id AND status = 'QUEUED' LIMIT 1) AS one,
    generate_series(1, :tasks) AS number
""")


@pytest.mark.usefixtures("unsound")  # the copies of a task are not counted
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_batch_without_statistics_is_read_by_the_index_of_the_queue(services: Services) -> None:
    batch_id = bring(services, "ANALYZING")
    with db.transaction(services.engine) as connection:
        connection.execute(_COPIES, {"batch_id": batch_id, "tasks": TASKS})
    sent: list[tuple[str, Any]] = []

    def keep(_: Connection, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        sent.append((statement, parameters))

    event.listen(services.engine, "before_cursor_execute", keep)
    assert len(lease(services, batch_id, most=1)) == 1
    event.remove(services.engine, "before_cursor_execute", keep)
    plans = [plan_of(services, *each) for each in sent if db.NO_SORT in each[0]]
    assert len(plans) == 2  # which batches have work, and the lease
    for plan in plans:
        assert "ix_tasks_queued" in plan, plan
        assert "ix_tasks_of_run" not in plan, plan


def plan_of(services: Services, statement: str, parameters: Any) -> str:
    with db.transaction(services.engine) as connection:
        explained = statement.replace(db.NO_SORT, f"{db.NO_SORT}EXPLAIN ")
        return "\n".join(connection.exec_driver_sql(explained, parameters).scalars())
