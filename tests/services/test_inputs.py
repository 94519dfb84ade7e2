"""The input of a batch, and when it may be changed."""

import hashlib
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.domain.transitions import BatchState
from app.errors import NotFound, Refusal, StateRefused, VersionMismatch
from app.models import Document, LateResult, Model, Prompt, ReadyTask
from app.services import Services
from app.services.batch.orders import Order
from app.services.input import edits, ready_rows
from app.services.input.edits import MadeOfReadyTasks
from app.services.reads.batches import Filter
from tests.services import stories
from tests.services.stories import OPERATOR, act, bring, create, snapshot, view


def add(services: Services, batch_id: int, *documents: dict[str, Any], order: Order = OPERATOR) -> dict[str, Any]:
    return edits.add_documents(services.batches, batch_id, list(documents), order)


def test_a_batch_as_it_was_created(services: Services) -> None:
    """Contract 5: a batch; its options and input beside."""
    batch_id = create(services, documents=2, prompts=3, models=1, max_attempts=5, priority=9, max_failed_tasks=7)
    batch = view(services, batch_id)
    assert (batch["state"], batch["version"], batch["run"], batch["failure"]) == ("SAVED", 1, 0, None)
    assert batch["input"] == {"documents": 2, "prompts": 3, "models": 1, "ready_tasks": 0, "file_id": None}
    expected = {"max_attempts": 5, "priority": 9, "max_failed_tasks": 7, "lease_seconds": 60}
    assert {name: batch["options"][name] for name in expected} == expected
    assert batch["allowed_actions"] == ["stage", "reset"]
    assert [row.number for row in stories.rows_of(services, Prompt)] == [1, 2, 3]
    assert [row.model for row in stories.rows_of(services, Model)] == ["m0"]


def test_documents_keep_their_content(services: Services) -> None:
    """Contract 5: text given inline, or the bytes of a file; numbered on without a gap."""
    batch_id = create(services, documents=1)
    content = b"\x00\xff\x89PNG"
    shown = add(
        services, batch_id, {"name": "b.png", "media_type": "image/png", "content": content}, stories.document()
    )
    assert (shown["version"], shown["input"]["documents"]) == (2, 3)
    first, second, third = stories.rows_of(services, Document)
    assert [row.number for row in (first, second, third)] == [1, 2, 3]
    assert (first.text, first.content, first.size_bytes) == ("text 0", None, 6)
    assert (second.text, second.content, second.media_type) == (None, content, "image/png")
    assert second.sha256 == hashlib.sha256(content).hexdigest()
    assert third.sha256 == hashlib.sha256(b"some text").hexdigest()
    act(services, batch_id, "stage")
    payloads = [leased["payload"] for leased in stories.lease(services, batch_id)]
    named = {"id": second.id, "name": "b.png", "media_type": "image/png"}
    assert payloads[1] == {"document": named, "content_url": f"/api/documents/{second.id}/content"}
    assert b"".join(services.reads.documents.content(second.id).pieces) == content
    with pytest.raises(NotFound):
        services.reads.documents.content(4711)


def test_only_the_first_of_equal_documents_is_kept(services: Services) -> None:
    """In one call, and in later calls; the answer names the duplicates, and the documents that they are copies of."""
    body = {
        "name": "twins",
        "documents": [stories.document(name, text) for name, text in (("a", "x"), ("b", "y"), ("c", "x"))],
        "prompts": [],
        "models": [],
        "options": {},
    }
    batch = edits.create_batch(services.batches, body, OPERATOR)
    assert (batch["input"]["documents"], batch["duplicates"]) == (2, [{"name": "c", "of": "a"}])
    uploaded = {"name": "d", "media_type": "text/plain", "content": b"y"}
    shown = add(services, batch["id"], uploaded, stories.document("e", "z"), stories.document("f", "z"))
    assert shown["duplicates"] == [{"name": "f", "of": "e"}, {"name": "d", "of": "b"}]
    assert shown["input"]["documents"] == 3
    assert "duplicates" not in add(services, batch["id"], stories.document("g", "new"))
    assert [(row.number, row.name) for row in stories.rows_of(services, Document)] == [
        (1, "a"), (2, "b"), (3, "e"), (4, "g"),
    ]  # fmt: skip


@pytest.mark.parametrize("state", [state for state in BatchState if state != "SAVED"])
def test_documents_are_added_only_while_a_batch_is_saved(services: Services, state: BatchState) -> None:
    """Contract 5: else 409, and nothing is stored."""
    batch_id = bring(services, state)
    before = snapshot(services)
    with pytest.raises(StateRefused, match=f"add_documents needs a batch that is SAVED; this one is {state}"):
        add(services, batch_id, stories.document())
    assert snapshot(services) == before


def test_a_batch_of_ready_made_tasks_takes_no_documents(services: Services) -> None:
    batch_id = stories.create_ready(services, 2)
    assert [row.custom_id for row in stories.rows_of(services, ReadyTask)] == ["0", "1"]
    before = snapshot(services)
    with pytest.raises(MadeOfReadyTasks):
        add(services, batch_id, stories.document())
    assert snapshot(services) == before


@pytest.mark.parametrize("state", ["STAGING", "STAGED", "ANALYZING", "PAUSED"])
def test_a_batch_at_work_cannot_be_archived(services: Services, state: str) -> None:
    """Contract 5: DELETE in SAVED, COMPLETED or FAILED, else 409."""
    batch_id = bring(services, state)
    before = snapshot(services)
    with pytest.raises(StateRefused):
        edits.archive(services.batches, batch_id, OPERATOR)
    assert snapshot(services) == before


@pytest.mark.parametrize("state", ["SAVED", "COMPLETED", "FAILED"])
def test_an_archived_batch_is_gone_for_every_caller(services: Services, state: str) -> None:
    """Contract 5: GET is 404; every request for it is refused and changes nothing; late results are still kept."""
    batch_id = create(services, documents=2)
    leased = None
    if state != "SAVED":
        stories.follow(services, batch_id, "ANALYZING")
        leased = stories.lease(services, batch_id)[0]
        act(services, batch_id, "cancel")
    if state == "COMPLETED":
        act(services, batch_id, "restage")
        stories.finish_all(services, batch_id)
        list(stories.walk(services, batch_id, "run *"))
    edits.archive(services.batches, batch_id, OPERATOR)
    before = snapshot(services)
    for refused in (
        lambda: view(services, batch_id),
        lambda: edits.archive(services.batches, batch_id, OPERATOR),
        lambda: edits.rename(services.batches, batch_id, {"name": "x"}, OPERATOR),
        lambda: add(services, batch_id, stories.document()),
        lambda: services.batches.actions(batch_id),
        lambda: stories.tasks_of(services, batch_id),
    ):
        with pytest.raises(NotFound):
            refused()
    assert stories.ask(services, batch_id, "reset")["code"] == "not_found"
    assert services.reads.batches.page(Filter())[0] == []
    assert stories.lease(services) == []
    services.sweeper.sweep()
    assert snapshot(services) == before
    if leased:
        with pytest.raises(Refusal):
            stories.complete(services, leased)
        assert [row.task_id for row in stories.rows_of(services, LateResult)] == [int(leased["id"])]


def test_an_edit_of_another_version_is_refused(services: Services) -> None:
    """Contract 4: a mismatch is 412 and changes nothing."""
    batch_id = create(services)
    stale, fresh = Order("a", "operator", if_version=2), Order("a", "operator", if_version=1)
    before = snapshot(services)
    for edit in (
        lambda order: add(services, batch_id, stories.document(), order=order),
        lambda order: edits.rename(services.batches, batch_id, {"name": "x"}, order),
        lambda order: edits.archive(services.batches, batch_id, order),
    ):
        with pytest.raises(VersionMismatch):
            edit(stale)
    assert snapshot(services) == before
    assert edits.rename(services.batches, batch_id, {"name": "x"}, fresh)["version"] == 2


def test_creation_is_all_or_nothing(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 5: if anything fails half way, nothing is stored."""
    monkeypatch.setattr(ready_rows, "PORTION_ROWS", 3)
    before = snapshot(services)
    for taken in ("_insert", "_copy"):
        monkeypatch.setattr(ready_rows, taken, twice_the_same(getattr(ready_rows, taken)))
    with pytest.raises(IntegrityError):
        stories.create_ready(services, 8)
    assert snapshot(services) == before


def twice_the_same(write: Any) -> Any:
    """Write each portion of rows twice: the database refuses the second."""

    def twice(*args: Any) -> None:
        write(*args)
        write(*args)

    return twice


def test_more_ready_made_tasks_than_one_insert_takes(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_rows, "PORTION_ROWS", 3)
    batch_id = stories.create_ready(services, 8)
    assert [row.number for row in stories.rows_of(services, ReadyTask)] == [*range(1, 9)]
    assert view(services, batch_id)["input"]["ready_tasks"] == 8
