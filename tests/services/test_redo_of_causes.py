"""`redo` of causes: exactly the tasks that failed for them are asked again; other failures are kept without a call."""

from typing import Any

import pytest

from app.domain.causes import cause_of
from app.services import Services
from app.services.input import edits
from app.services.input.ready_tasks import ReadyTasks
from tests.services.stories import (
    OPERATOR,
    Leased,
    act,
    ask,
    complete,
    create,
    fail,
    finish_all,
    follow,
    lease,
    state_of,
    tasks_of,
    view,
)

BUSY = {"code": "rate_limited", "message": "local answers 429: wait 3 s"}
BUSY_TOO = {"code": "rate_limited", "message": "local answers 429: wait 17 s"}
LONG = {"code": "request_refused", "message": "local answers 400: 9000 tokens are too many"}


def failed_with(services: Services, tasks: list[Leased], *errors: dict[str, Any]) -> None:
    """Fail the first tasks for good, each with its error; complete the others."""
    for error, task in zip(errors, tasks, strict=False):
        fail(services, task, error=error, retryable=False)
    for task in tasks[len(errors) :]:
        complete(services, task, {"text": "yes", "usage": {"cost": 0.5}})


def staged(services: Services, batch_id: int) -> None:
    """Stage the documents: each has a text of its own, and so questions of its own."""
    for task in lease(services, batch_id):
        complete(services, task, {"text": task["payload"]["document"]["name"]})


def analyzing(services: Services, documents: int, models: int = 1) -> int:
    batch_id = create(services, documents, models=models)
    act(services, batch_id, "stage")
    staged(services, batch_id)
    act(services, batch_id, "run")
    return batch_id


def restaged(services: Services, batch_id: int, **context: Any) -> None:
    act(services, batch_id, "restage", **context)
    staged(services, batch_id)


def completed(services: Services, *errors: dict[str, Any], documents: int = 5) -> int:
    batch_id = analyzing(services, documents)
    failed_with(services, lease(services, batch_id), *errors)
    assert state_of(services, batch_id) == "COMPLETED"
    return batch_id


def key(error: dict[str, Any], connection: str | None = "local") -> str:
    return cause_of(connection, error).key


def answers_of(services: Services, batch_id: int) -> list[tuple[Any, ...]]:
    """Status, error code and origin of each analysis task of the present run."""
    tasks = [each for each in tasks_of(services, batch_id) if each["kind"] == "ANALYZE"]
    return [(t["status"], (t["error"] or {}).get("code"), t["reused_from"] is not None, t["attempt"]) for t in tasks]


def test_only_the_tasks_of_the_cause_are_asked_again(services: Services) -> None:
    batch_id = completed(services, BUSY, LONG, BUSY_TOO)
    redo = {"redo": {"causes": [key(BUSY)]}}
    effect = ask(services, batch_id, "restage", dry_run=True, **redo)["effect"]
    assert (effect["calls"], effect["cost"]) == (2, 1.0)
    restaged(services, batch_id, **redo)
    assert answers_of(services, batch_id) == [
        ("QUEUED", None, False, 0),
        ("FAILED", "request_refused", True, 0),
        ("QUEUED", None, False, 0),
        ("COMPLETED", None, True, 0),
        ("COMPLETED", None, True, 0),
    ]
    act(services, batch_id, "run")
    asked = lease(services, batch_id)
    assert len(asked) == 2
    failed_with(services, asked)
    assert state_of(services, batch_id) == "COMPLETED"
    progress = view(services, batch_id)["progress"]["analysis"]
    assert (progress["completed"], progress["failed"]) == (4, 1)


def test_a_failure_that_was_kept_has_its_cause_in_the_next_run(services: Services) -> None:
    batch_id = completed(services, BUSY, LONG)
    for cause in (BUSY, LONG):
        restaged(services, batch_id, redo={"causes": [key(cause)]})
        act(services, batch_id, "run")
        finish_all(services, batch_id)
    assert [status for status, *_ in answers_of(services, batch_id)] == ["COMPLETED"] * 5


def test_tasks_that_were_never_asked_are_asked(services: Services) -> None:
    """A task without an outcome has no failure to keep."""
    batch_id = analyzing(services, 4)
    failed_with(services, lease(services, batch_id, most=2), BUSY, LONG)
    act(services, batch_id, "cancel")
    redo = {"redo": {"causes": [key(LONG)]}}
    assert ask(services, batch_id, "restage", dry_run=True, **redo)["effect"]["calls"] == 3
    restaged(services, batch_id, **redo)
    assert sorted(status for status, *_ in answers_of(services, batch_id)) == ["FAILED", *["QUEUED"] * 3]


def test_an_answer_of_an_earlier_run_comes_before_a_failure(services: Services) -> None:
    batch_id = completed(services)
    restaged(services, batch_id, reuse="none")
    act(services, batch_id, "run")
    failed_with(services, lease(services, batch_id), BUSY, LONG)
    restaged(services, batch_id, redo={"causes": [key(BUSY)]})
    assert sorted(status for status, *_ in answers_of(services, batch_id)) == [*["COMPLETED"] * 4, "QUEUED"]


def test_ready_made_tasks(services: Services) -> None:
    lines = [{"custom_id": f"{n}", "method": "POST", "url": "/v1/x", "body": {"n": n}} for n in range(3)]
    with ReadyTasks() as prepared:
        prepared.add(list(enumerate(lines, 1)))
        made = edits.create_batch_of_ready_tasks(services.batches, "ready", prepared, OPERATOR)
    batch_id = follow(services, int(made["id"]), "ANALYZING")
    failed_with(services, lease(services, batch_id), BUSY, LONG)
    redo = {"redo": {"causes": [key(BUSY, connection=None)]}}
    assert ask(services, batch_id, "restage", dry_run=True, **redo)["effect"]["calls"] == 1
    act(services, batch_id, "restage", **redo)
    assert [status for status, *_ in answers_of(services, batch_id)] == ["QUEUED", "FAILED", "COMPLETED"]


def test_with_models_it_is_for_these_models(services: Services) -> None:
    batch_id = analyzing(services, 1, models=2)
    failed_with(services, lease(services, batch_id), BUSY, BUSY)
    restaged(services, batch_id, redo={"causes": [key(BUSY)], "models": ["m1"]})
    assert [status for status, *_ in answers_of(services, batch_id)] == ["FAILED", "QUEUED"]


@pytest.mark.parametrize("causes", [["0" * 16], [key(BUSY), "0" * 16], [], "all", [1], ["0" * 16] * 101])
def test_a_cause_that_no_failed_task_has_is_refused(services: Services, causes: Any) -> None:
    batch_id = completed(services, BUSY)
    answer = ask(services, batch_id, "restage", redo={"causes": causes})
    assert (answer["success"], answer["code"], state_of(services, batch_id)) == (False, "invalid", "COMPLETED")
