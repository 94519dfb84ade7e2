"""A column of a batch is never half added: it is read, it is written or fixed at creation, it is shown or kept back."""

import re
from typing import Any

import pytest

from app.models import Batch
from app.services import Services
from app.services.input import edits
from tests.services.stories import OPERATOR, act, create, view

COLUMNS = {column.name for column in Batch.__table__.columns}
# Set when the batch is created, and by no change afterwards.
FIXED = {"id", "created_at", "input_file_id"}
# Written by an edit of the input alone.
OF_INPUT = {
    "prompt_count", "model_count", "max_attempts", "lease_seconds", "max_failed_tasks", "priority",
    "staging_timeout_seconds", "on_unreadable", "on_truncated", "on_too_long", "pause_after_outage_seconds",
    "auto_resume", "keep_runs",
}  # fmt: skip
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
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the same statements on both


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


def test_every_column_is_written_with_a_change_or_fixed(services: Services, statements: list[str]) -> None:
    """Contract 4: a change writes the whole row; a column that it leaves out would be lost without a word."""
    batch_id = create(services)
    statements.clear()
    act(services, batch_id, "reset")
    (update,) = (each for each in statements if re.search(r"\bUPDATE batches\b", each))
    (assigned,) = re.findall(r"\bSET (.+?) WHERE\b", update)
    assert set(re.findall(r"(\w+) ?=", assigned)) == COLUMNS - FIXED - OF_INPUT


def test_an_edit_of_the_input_writes_what_it_changes(services: Services) -> None:
    """Contract 5: what was edited is read again as it was sent."""
    options = {
        "max_attempts": 7, "lease_seconds": 61, "max_failed_tasks": 8, "priority": 9, "staging_timeout_seconds": 62,
        "on_unreadable": "skip", "on_truncated": "fail", "on_too_long": "truncate", "pause_after_outage_seconds": 63,
        "auto_resume": False, "keep_runs": 64,
    }  # fmt: skip
    assert set(options) == OF_INPUT - {"prompt_count", "model_count"}
    batch_id = create(services)
    edits.replace_input(services.batches, batch_id, {"options": options}, OPERATOR)
    assert {name: view(services, batch_id)["options"][name] for name in options} == options


def test_every_column_is_shown_or_kept_back(services: Services) -> None:
    """Contract 5: a batch as it is answered."""
    shown = names(view(services, create(services)))
    paths = {name: SHOWN_AS.get(name) for name in COLUMNS - HIDDEN}
    missing = {name for name, path in paths.items() if not {path, name, f"options.{name}"} & shown}
    assert missing == set()
