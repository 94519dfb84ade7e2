"""PostgreSQL's settings of the table of tasks: its dead rows go early, however large the table has become."""

import pytest
from sqlalchemy import text

from app.db import reading
from app.services import Services


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_dead_rows_of_tasks_go_early(services: Services) -> None:
    """By default autovacuum waits for a fifth of the table: of ten million tasks, two million dead rows."""
    with reading(services.engine) as connection:
        options = connection.execute(text("SELECT reloptions FROM pg_class WHERE relname = 'tasks'")).scalar_one()
    assert set(options) >= {"autovacuum_vacuum_scale_factor=0.02", "autovacuum_vacuum_threshold=5000"}
