"""Migration 0022: the tasks of the release before that have a late answer are still found by their content keys."""

import pytest
from sqlalchemy import Engine, MetaData, insert, inspect, select

from app.schema import migrate
from tests.migrations.conftest import MigratedTo
from tests.migrations.test_targets import BATCH, NOW, TASK

LATE = {
    "attempt": 1, "lease_token": "1.a", "input_tokens": 0, "output_tokens": 0, "cost_nanos": 0, "at": NOW,
}  # fmt: skip


@pytest.fixture
def engine(migrated_to: MigratedTo) -> Engine:
    return migrated_to("0021")


@pytest.mark.filterwarnings("ignore:.*expression-based index ix_documents_name")
def test_late_answers_are_marked_and_failures_are_not(engine: Engine) -> None:
    before = MetaData()
    before.reflect(engine)
    with engine.begin() as connection:
        connection.execute(insert(before.tables["batches"]), {**BATCH, "id": 1})
        connection.execute(
            insert(before.tables["tasks"]), [{**TASK, "id": each, "status": "LEASED"} for each in (1, 2, 3)]
        )
        late = [{**LATE, "task_id": 1, "outcome": "failed"}, {**LATE, "task_id": 2, "outcome": "completed"}]
        connection.execute(insert(before.tables["late_results"]), late)
    url = engine.url.render_as_string(hide_password=False)
    migrate(url)
    after = MetaData()
    after.reflect(engine)
    tasks = after.tables["tasks"]
    with engine.connect() as connection:
        assert list(connection.execute(select(tasks.c.id).where(tasks.c.has_late_answer)).scalars()) == [2]
    migrate(url, "0021", downgrade=True)
    assert "has_late_answer" not in {each["name"] for each in inspect(engine).get_columns("tasks")}
