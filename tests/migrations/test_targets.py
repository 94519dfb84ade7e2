"""Migration 0008: the tasks of the release before get what they need of a worker."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, MetaData, insert, select

from app.schema import migrate
from tests.migrations.conftest import MigratedTo

NOW = datetime.now(UTC)
BATCH = {
    "name": "b", "state": "SAVED", "version": 1, "run": 0, "document_count": 0, "prompt_count": 0, "model_count": 0,
    "ready_task_count": 0, "max_attempts": 3, "lease_seconds": 60, "priority": 0, "staging_timeout_seconds": 3600,
    "on_unreadable": "fail", "created_at": NOW, "updated_at": NOW,
}  # fmt: skip
TASK = {
    "batch_id": 1, "run": 1, "kind": "ANALYZE", "attempt": 0, "critical": False, "past_leases": "", "input_tokens": 0,
    "output_tokens": 0, "cost_nanos": 0, "available_at": NOW,
}  # fmt: skip
LINES = [
    ("/v1/embeddings", {"model": "e"}, 1),
    ("/v1/responses", {"model": "e"}, 2),
    ("/embeddings", {"model": "e"}, 1),
    ("/v1/responses", {}, 3),
    ("/v1/responses", {"model": 7}, 3),
    ("/v1/responses", {"model": "m" * 201}, 3),
    ("/v1/responses", {"model": "e", "input": "a:b, a \0 and \N{PILE OF POO}"}, None),
]


@pytest.fixture
def engine(migrated_to: MigratedTo) -> Engine:
    return migrated_to("0007")


@pytest.mark.filterwarnings("ignore:.*expression-based index ix_documents_name")
def test_open_tasks_get_their_targets(engine: Engine) -> None:
    tables = MetaData()
    tables.reflect(engine)
    batches, lines, tasks = (tables.tables[name] for name in ("batches", "ready_tasks", "tasks"))
    with engine.begin() as connection:
        connection.execute(insert(batches), [{**BATCH, "id": number} for number in (1, 2)])
        rows = [
            {"batch_id": 1, "number": number, "custom_id": str(number), "method": "POST", "content_key": "x"}
            | {"url": url, "body": body}
            for number, (url, body, _) in enumerate(LINES, 1)
        ]
        connection.execute(insert(lines), rows)
        of_lines = [{**TASK, "status": "QUEUED", "ready_number": row["number"]} for row in rows]
        connection.execute(insert(tasks), of_lines)
        more = [("QUEUED", 2), ("LEASED", 1), ("COMPLETED", 1)]
        of_models = [{**TASK, "status": status, "model_number": number} for status, number in more]
        connection.execute(insert(tasks), of_models)
        connection.execute(insert(tasks), {**TASK, "status": "QUEUED", "kind": "STAGE"})
    migrate(str(engine.url.render_as_string(hide_password=False)))
    after = MetaData()
    after.reflect(engine)
    with engine.connect() as connection:
        found = list(connection.execute(select(after.tables["ready_targets"]).order_by("number")))
        targets = list(connection.execute(select(after.tables["tasks"].c.target).order_by("id")).scalars())
    nul = 2 if engine.dialect.name == "sqlite" else 3  # PostgreSQL cannot read this body: the line names no model
    assert [tuple(row) for row in found] == [
        (1, 1, "/v1/embeddings", "e"),
        (1, 2, "/v1/responses", "e"),
        (1, 3, "/v1/responses", ""),
    ]
    assert targets == [*(nul if wanted is None else wanted for *_, wanted in LINES), 2, 1, 0, 0]
