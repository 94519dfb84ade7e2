"""The index of content keys: which tasks it holds, and that each statement which looks for a key finds tasks by it."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from app import db
from app.errors import ReportRefused
from app.services import Services
from app.services.input.erasure import erase_document
from tests.services.stories import (
    OPERATOR,
    act,
    ask,
    complete,
    create,
    finish_all,
    lease,
    state_of,
    sweep_until_deleted,
)

INDEX = "ix_tasks_content_key"
# A look for a key, not a column that is read or written.
LOOKS = ("content_key = ", "content_key IN (")
Sent = list[tuple[str, Any]]


@pytest.fixture
def sent(services: Services) -> Iterator[Sent]:
    """Each statement that looks for a content key, with its values."""
    found: Sent = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if any(look in statement for look in LOOKS):
            found.append((statement, values))

    event.listen(services.engine, "before_cursor_execute", note)
    yield found
    event.remove(services.engine, "before_cursor_execute", note)


def stage(services: Services, batch_id: int, action: str, **context: Any) -> None:
    """Stage a batch, so that each document has a text of its own, and run it."""
    act(services, batch_id, action, **context)
    for each in lease(services, batch_id):
        complete(services, each, {"text": each["payload"]["text"]})
    act(services, batch_id, "run")


def test_all_who_look_for_a_key_use_the_index(services: Services, sent: Sent) -> None:
    batch_id = create(services, documents=3, keep_runs=2)
    stage(services, batch_id, "stage")
    late, *_ = lease(services, batch_id, most=2)
    act(services, batch_id, "cancel")
    with pytest.raises(ReportRefused):
        complete(services, late, {"text": "late"})
    assert not sent  # a first run has no earlier answers
    stage(services, batch_id, "restage")
    finish_all(services, batch_id)
    assert ask(services, batch_id, "restage", dry_run=True)["effect"]["calls"] == 0
    stage(services, batch_id, "restage", redo={"status": ["COMPLETED"]})
    finish_all(services, batch_id)
    sweep_until_deleted(services)  # the first run
    (document,), _ = services.reads.documents.page(batch_id, limit=1)
    erase_document(services.batches, batch_id, document["id"], OPERATOR)
    assert state_of(services, batch_id) == "COMPLETED"
    assert len({statement for statement, _ in sent}) >= 8
    for statement, values in tuple(sent):
        # PostgreSQL may instead read the batch's tasks once, and hash their keys.
        plan = plan_of(services, statement, values)
        assert INDEX in plan or "hashed SubPlan" in plan, f"{statement}\n{plan}"


def plan_of(services: Services, statement: str, values: Any) -> str:
    with db.transaction(services.engine) as connection:  # SET LOCAL ends with it
        is_postgresql = db.is_postgresql(connection)
        if is_postgresql:
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # cheaper for so few rows
        explain = "EXPLAIN " if is_postgresql else "EXPLAIN QUERY PLAN "
        return "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, values))
