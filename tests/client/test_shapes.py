"""The client knows what the contract promises: every code has an exception, and every field its place."""

from typing import get_type_hints

import pytest

from interlock import errors, shapes
from interlock.errors import Refusal
from tests.contract.page import fields

TABLES = {
    "A batch": shapes.Batch,
    "A document": shapes.Document,
    "An audit row": shapes.AuditRow,
    "A request": shapes.QueuedRequest,
    "A connection": shapes.Connection,
    "A worker": shapes.Worker,
    "A task in a list": shapes.Task,
    "A whole task": shapes.Task,
    "A line of results": shapes.Result,
    "A run report": shapes.Report,
    "A token": shapes.Token,
    "A webhook": shapes.Webhook,
    "A delivery": shapes.Delivery,
    "A decision": shapes.Decision,
    "A queued answer": shapes.Decision,
}


@pytest.mark.parametrize("heading", TABLES)
def test_a_shape_has_each_field_of_the_contract(heading: str) -> None:
    hints = get_type_hints(TABLES[heading])
    assert {name for name in fields(heading) if "." not in name} <= set(hints)


@pytest.mark.parametrize("shape", list({shape.__name__: shape for shape in TABLES.values()}.values()))
def test_a_shape_has_no_field_that_the_contract_has_not(shape: type) -> None:
    promised = set().union(*(fields(heading) for heading, each in TABLES.items() if each is shape))
    unlisted = {"duplicates"}  # only in the answer to a creation or an edit
    assert set(get_type_hints(shape)) - unlisted <= promised


def test_each_code_of_the_contract_has_its_exception() -> None:
    promised = fields("Refusals") | {"method_not_allowed", "internal_error"}
    assert set(errors.codes()) == promised


@pytest.mark.parametrize("code", errors.codes())
def test_a_problem_becomes_the_exception_of_its_code(code: str) -> None:
    made = errors.refusal(409, {"code": code, "detail": "No.", "version": 7})
    assert type(made) is not Refusal
    assert (made.code, made.status, str(made), made.problem["version"]) == (code, 409, "No.", 7)


def test_a_code_of_a_later_release_is_a_refusal() -> None:
    made = errors.refusal(409, {"code": "not_known_yet", "title": "Something new"})
    assert (type(made), made.code, str(made)) == (Refusal, "not_known_yet", "Something new")
