"""A column of a batch is never half added: it is read, it is written or fixed at creation, it is shown or kept back."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Integer, String, bindparam, select

from app.db import UtcTime
from app.domain.transitions import BatchState, Kind
from app.models import Batch
from app.services import Services
from app.services.batch import changes
from app.services.batch.batch_lock import lock
from app.services.batch.changes import Change
from app.services.batch.orders import Order
from app.services.input import edits
from tests.services.stories import OPERATOR, act, create, view

COLUMNS = {column.name for column in Batch.__table__.columns}
# Set when the batch is created, and by no change afterwards.
FIXED = {"id", "created_at", "input_file_id"}
HIDDEN = {"archived_at", "purged_at", "answers_from_run", "reuse", "bad_line_count", "paused_at"}  # no caller sees them
# Where the answer has a column under another name.
SHOWN_AS = {
    "document_count": "input.documents",
    "prompt_count": "input.prompts",
    "model_count": "input.models",
    "ready_task_count": "input.ready_tasks",
    "input_file_id": "input.file_id",
    "max_cost_nanos": "options.max_cost",
    "failure_code": "failure",
    "failure_message": "failure",
    "failure_task_id": "failure",
}
# Another value of each column that a change may write, as the row of a new batch never has it.
AT = datetime(2026, 11, 26, tzinfo=UTC)
OTHER = {
    **{name: 7 for name, column in Batch.__table__.columns.items() if isinstance(column.type, Integer)},
    **{name: "other" for name, column in Batch.__table__.columns.items() if isinstance(column.type, String)},
    **{name: AT for name, column in Batch.__table__.columns.items() if isinstance(column.type, UtcTime)},
    "state": BatchState.STAGING,
    "version": 2,
    "on_unreadable": "skip",
    "on_truncated": "fail",
    "on_too_long": "truncate",
    "max_failure_rate": 0.5,
    "auto_resume": False,
    "reuse": {"reuse": "none"},
}
ONE = select(Batch.__table__).where(Batch.id == bindparam("batch_id"))


def names(answer: dict[str, Any]) -> set[str]:
    """The names of an answer's fields, and of those of its objects, by their path."""
    inner = {f"{name}.{each}" for name, value in answer.items() if isinstance(value, dict) for each in value}
    return set(answer) | inner


def test_every_column_is_read_under_the_lock(services: Services, statements: list[str]) -> None:
    """Contract 4: a change is decided on the whole row."""
    batch_id = create(services)
    statements.clear()
    act(services, batch_id, "reset")
    reads = " ".join(each for each in statements if each.startswith("SELECT"))
    assert {name for name in COLUMNS if not re.search(rf"\bbatches\.{name}\b", reads)} == set()


@pytest.mark.parametrize("name", sorted(COLUMNS - FIXED - {"version"}))
def test_every_column_that_a_change_changes_is_written(services: Services, name: str) -> None:
    """Contract 4: a change writes all that it changes; a column that it left out would be lost without a word."""
    batch_id = create(services)
    with services.engine.connect() as connection:  # which ends with a rollback
        before = lock(connection, batch_id).batch
        assert getattr(before, name) != OTHER[name]
        after = before.changed(**{"version": 2, name: OTHER[name]})
        changes.write_change(connection, before, after, Change("stage", Kind.ACTION, Order()))
        assert dict(connection.execute(ONE, {"batch_id": batch_id}).one()._mapping) == after._asdict()


@pytest.mark.parametrize("name", sorted(FIXED))
def test_no_change_writes_what_is_fixed(services: Services, name: str) -> None:
    batch_id = create(services)
    with services.engine.connect() as connection:
        before = lock(connection, batch_id).batch
        after = before.changed(**{"version": 2, name: OTHER[name]})
        with pytest.raises(ValueError, match=name):
            changes.write_change(connection, before, after, Change("reset", Kind.ACTION, Order()))


def test_an_edit_of_the_input_writes_what_it_changes(services: Services) -> None:
    """Contract 5: what was edited is read again as it was sent."""
    options = {
        "max_attempts": 7, "lease_seconds": 61, "max_failed_tasks": 8, "priority": 9, "staging_timeout_seconds": 62,
        "on_unreadable": "skip", "on_truncated": "fail", "on_too_long": "truncate",
        "part_characters": 5_065, "overlap_characters": 66, "pause_after_outage_seconds": 63,
        "auto_resume": False, "keep_runs": 64,
    }  # fmt: skip
    batch_id = create(services)
    edits.replace_input(services.batches, batch_id, {"options": options}, OPERATOR)
    assert {name: view(services, batch_id)["options"][name] for name in options} == options


def test_every_column_is_shown_or_kept_back(services: Services) -> None:
    """Contract 5: a batch as it is answered."""
    shown = names(view(services, create(services)))
    paths = {name: SHOWN_AS.get(name) for name in COLUMNS - HIDDEN}
    missing = {name for name, path in paths.items() if not {path, name, f"options.{name}"} & shown}
    assert missing == set()
