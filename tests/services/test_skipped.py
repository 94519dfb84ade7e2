"""`on_unreadable: "skip"`: a document that no worker can read is left out and shown, and staging goes on."""

import random
import string

import pytest

from app.db import reading
from app.domain.leases import TaskKind
from app.models import Task
from app.services import Services
from app.services.reads.tasks import LISTED_TASKS
from tests.services import stories
from tests.services.stories import act, complete, fail, lease, lease_one, view

UNREADABLE = {"error": {"code": "unreadable", "message": "Document '0.txt' is encrypted."}, "retryable": False}


def staging(services: Services, documents: int = 2, **options: object) -> int:
    batch_id = stories.create(services, documents, on_unreadable="skip", **options)
    act(services, batch_id, "stage")
    return batch_id


@pytest.mark.parametrize("code", ["unreadable", "too_large"])
def test_an_unreadable_document_is_left_out_and_shown(services: Services, code: str) -> None:
    batch_id = staging(services)
    bad, good = lease(services, batch_id)
    report = {**UNREADABLE, "error": {"code": code, "message": "Document '0.txt' is encrypted."}}
    fail(services, bad, **report)
    fail(services, bad, **report)
    complete(services, good)
    batch = view(services, batch_id)
    assert batch["state"] == "STAGED"
    assert batch["progress"]["staging"] == {"total": 2, "completed": 2, "failed": 0, "skipped": 1}
    assert batch["progress"]["analysis"]["total"] == 1
    shown = services.reads.tasks.show(bad["id"])
    assert (shown["status"], shown["skipped"], shown["error"]) == ("COMPLETED", "Document '0.txt' is encrypted.", None)
    assert shown["result"] == {"skipped": True, "code": code, "reason": "Document '0.txt' is encrypted."}
    assert [task["skipped"] for task in stories.tasks_of(services, batch_id)][:2] == [shown["skipped"], None]


def test_when_all_are_left_out_there_is_nothing_to_analyse(services: Services) -> None:
    batch_id = staging(services, 2)
    for task in lease(services, batch_id):
        fail(services, task, **UNREADABLE)
    assert view(services, batch_id)["failure"]["code"] == "nothing_to_analyse"
    act(services, batch_id, "restage")
    assert view(services, batch_id)["progress"]["staging"]["skipped"] == 0


@pytest.mark.parametrize(
    "more",
    [
        {"error": {"code": "path_refused", "message": "no"}},
        {"critical": True},
        {"error": {}},
    ],
    ids=["another code", "critical", "no code"],
)
def test_other_failures_fail_the_staging(services: Services, more: dict[str, object]) -> None:
    batch_id = staging(services)
    fail(services, lease_one(services, batch_id), **{**UNREADABLE, **more})
    assert view(services, batch_id)["failure"]["code"] == "staging_failed"


def test_what_may_be_tried_again_is_tried_again(services: Services) -> None:
    batch_id = staging(services, 1, max_attempts=1)
    fail(services, lease_one(services, batch_id), **{**UNREADABLE, "retryable": True})
    assert view(services, batch_id)["failure"]["code"] == "staging_failed"


def test_without_the_option_the_staging_fails_with_name_and_reason(services: Services) -> None:
    batch_id = stories.create(services)
    act(services, batch_id, "stage")
    fail(services, lease_one(services, batch_id), **UNREADABLE)
    failure = view(services, batch_id)["failure"]
    assert failure["code"] == "staging_failed"
    assert failure["message"].endswith("Document '0.txt' is encrypted.")


def test_an_analysis_is_never_left_out(services: Services) -> None:
    batch_id = staging(services, 1)
    complete(services, lease_one(services, batch_id))
    act(services, batch_id, "run")
    task = lease_one(services, batch_id)
    fail(services, task, **UNREADABLE)
    assert services.reads.tasks.show(task["id"])["status"] == "FAILED"


def test_a_list_reads_no_texts(services: Services) -> None:
    batch_id = staging(services)
    bad, good = lease(services, batch_id)
    reason = "\N{SNOWMAN}" * 10_000  # as long as an error may be
    fail(services, bad, error={"code": "unreadable", "message": reason}, retryable=False)
    complete(services, good, result={"text": "".join(random.Random(1).choices(string.printable, k=200_000))})
    with reading(services.engine) as connection:
        listed = LISTED_TASKS.where(Task.batch_id == batch_id, Task.kind == TaskKind.STAGE).order_by(Task.id)
        rows = connection.execute(listed).all()
    assert [(row.result or {}).get("reason") for row in rows] == [reason, None]
    assert [task["skipped"] for task in stories.tasks_of(services, batch_id)][:2] == [reason, None]
