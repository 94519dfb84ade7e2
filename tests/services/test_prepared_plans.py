"""What is prepared and reads tasks finds them by an index, also by a plan that was made while there were few tasks."""

from typing import Any

import pytest
from sqlalchemy import text

from app import db
from app.services import Services
from tests.services.stories import bring, complete, lease
from tests.services.test_lease_plans import COPIES, TASKS

PREPARED = {"whole_0": 1, "share_and_hold_one_0": 1, "share_and_hold_one_1": 1, "end_task_0": 50}
_KNOWN = text("SELECT name, array_length(parameter_types, 1) FROM pg_prepared_statements ORDER BY name")


@pytest.mark.usefixtures("unsound")  # the copies of a task are not counted
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_plan_from_when_there_were_few_tasks_reads_few(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=3)
    first, second = lease(services, batch_id, most=2)
    complete(services, first)
    services.reads.batches.show(batch_id)
    with db.reading(services.engine) as connection:
        rows: Any = connection.execute(_KNOWN).all()
        known = dict(rows)
        assert {name: known.get(name) for name in PREPARED} == PREPARED
        connection.execute(COPIES, {"batch_id": batch_id, "tasks": TASKS})
        for name, amount in PREPARED.items():
            given = ", ".join([str(batch_id if name == "whole_0" else second["id"]), *["NULL"] * (amount - 1)])
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN EXECUTE {name} ({given})").scalars())
            assert "Seq Scan on tasks" not in plan, plan
            assert ("ix_tasks_queued" if name == "whole_0" else "pk_tasks") in plan, plan
