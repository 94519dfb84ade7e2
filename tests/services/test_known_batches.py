"""A batch that this process has shown before: what it shows the next time is what a process shows that never saw it."""

from typing import Any

import pytest

from app.errors import NotFound
from app.services import Services
from app.services.input import edits
from app.services.reads import batches
from app.services.reads.batches import Batches
from tests.services import stories

STEPS = "stage * run pause resume cancel restage * run"
REST = "EXECUTE rest_0"  # reads what is not in the row of a known batch
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite is read by parts


def shown(services: Services, batch_id: int) -> dict[str, Any]:
    """Show a batch as a process that never saw it; look that this process shows the same, twice."""
    anew = Batches(services.engine).show(batch_id)
    for _ in range(2):
        assert services.reads.batches.show(batch_id) == anew
    return dict(anew)


def test_each_step_of_a_life_is_shown(services: Services) -> None:
    batch_id = stories.create(services, documents=2, prompts=2, models=2)
    for step in stories.walk(services, batch_id, STEPS):
        assert shown(services, batch_id)["version"] > 1, step
        for task in stories.lease(services, batch_id, most=1):
            shown(services, batch_id)
            stories.complete(services, task)
            shown(services, batch_id)


def test_what_tasks_wait_for_is_read_anew(services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING", documents=2, models=3)
    assert [each["model"] for each in shown(services, batch_id)["waiting_for"]] == ["m0", "m1", "m2"]
    for task in stories.lease(services, batch_id):
        if task["payload"]["model"] == "m1":
            stories.complete(services, task)
        else:
            services.queue.release([(task["id"], task["lease_token"])])
    assert [each["model"] for each in shown(services, batch_id)["waiting_for"]] == ["m0", "m2"]


@on_postgresql
def test_an_edit_is_shown(services: Services, statements: list[str]) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    shown(services, batch_id)
    assert any(REST in each for each in statements)
    edits.rename(services.batches, batch_id, {"name": "other"}, stories.OPERATOR)
    assert shown(services, batch_id)["name"] == "other"


@on_postgresql
def test_a_batch_that_was_archived_is_not_found(services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    shown(services, batch_id)
    stories.act(services, batch_id, "cancel")
    shown(services, batch_id)
    edits.archive(services.batches, batch_id, stories.OPERATOR)
    with pytest.raises(NotFound):
        services.reads.batches.show(batch_id)


@on_postgresql
def test_of_too_many_batches_the_oldest_is_read_whole(
    services: Services, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_KNOWN", 2)
    first, *others = [stories.bring(services, "ANALYZING") for _ in range(3)]
    reader = Batches(services.engine)
    for batch_id in (first, *others):
        reader.show(batch_id)
    statements.clear()
    for batch_id in (*others, first):
        reader.show(batch_id)
    assert [each for each in statements if REST in each] == statements[:2]
