"""What is prepared and reads tasks finds them by an index, also by a plan that was made while there were few tasks."""

from typing import Any

import pytest
from sqlalchemy import text

from app import db
from app.services import Services
from tests.services.stories import bring, complete, lease
from tests.services.test_lease_plans import COPIES, TASKS

# With the number of their parameters, and the indexes by which they find tasks.
PREPARED = {
    "whole_0": (1, "ix_tasks_queued"),
    "rest_0": (4, "ix_tasks_queued"),
    "share_and_hold_one_0": (1, "pk_tasks"),
    "share_and_hold_one_1": (1, "pk_tasks"),
    "share_and_hold_0": (1, "pk_tasks"),
    "share_and_hold_1": (1, "pk_tasks"),
    "end_task_0": (50, "pk_tasks"),
    "end_tasks_0": (21, "pk_tasks"),
    "lease_0": (11, "ix_tasks_queued"),
}
OF_ARRAYS = ("share_and_hold_0", "share_and_hold_1", "end_tasks_0", "lease_0")
_KNOWN = text("SELECT name, array_length(parameter_types, 1) FROM pg_prepared_statements ORDER BY name")


@pytest.mark.usefixtures("unsound")  # the copies of a task are not counted
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_plan_from_when_there_were_few_tasks_reads_few(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=4)
    first, second, *others = lease(services, batch_id, most=4)
    complete(services, first)
    services.queue.release((each["id"], each["lease_token"]) for each in others)
    for _ in range(2):
        services.reads.batches.show(batch_id)
    with db.reading(services.engine) as connection:
        rows: Any = connection.execute(_KNOWN).all()
        known = dict(rows)
        assert {name: known.get(name) for name in PREPARED} == {name: amount for name, (amount, _) in PREPARED.items()}
        connection.execute(COPIES, {"batch_id": batch_id, "tasks": TASKS})
        for name, (amount, index) in PREPARED.items():
            first_given = {"whole_0": str(batch_id), "rest_0": "'{0,1}'", **dict.fromkeys(OF_ARRAYS, "NULL")}.get(
                name, second["id"]
            )
            given = ", ".join([first_given, *["NULL"] * (amount - 1)])
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN EXECUTE {name} ({given})").scalars())
            assert "Seq Scan on tasks" not in plan, plan
            assert "ix_tasks_of_run" not in plan, plan
            assert index in plan, plan
