"""Tasks in pages along their indexes; and one task with what it asks."""

from typing import Any

import pytest
from sqlalchemy import event

from app.domain.leases import TaskKind, TaskStatus
from app.errors import Invalid, NotFound
from app.services.reads import task_walk
from app.services.reads.task_walk import Wanted
from app.services.reads.tasks import TaskPage
from tests.api.lives import act, bring, complete, create_ready, fail, finish_all, lease
from tests.support.client import ApiClient


@pytest.fixture
def pages(app: Any) -> Any:
    """The service of the application that the client calls."""
    return app.extensions["interlock"].reads.tasks


def walked(pages: Any, batch_id: int, wanted: Wanted, limit: int = 2) -> list[str]:
    """Walk all pages; no task stands on two."""
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page: TaskPage = pages.page(batch_id, wanted, limit, cursor)
        assert len(page.tasks) <= limit
        ids += [task["id"] for task in page.tasks]
        assert len(ids) == len(set(ids))
        cursor = page.next_cursor
        if cursor is None:
            return ids


def listed(client: ApiClient, batch_id: int, query: str = "") -> list[str]:
    tasks = client.get(f"/api/batches/{batch_id}/tasks?limit=200{query}").json["tasks"]
    return [task["id"] for task in tasks]


def some_of_each(client: ApiClient) -> int:
    """Make a batch whose analysis tasks are in every status, and one of whose failures has another code."""
    batch_id = int(bring(client, "ANALYZING", documents=9)["id"])
    leased = lease(client, batch_id, most=7)
    for task in leased[:2]:
        complete(client, task)
    for task in leased[2:4]:
        fail(client, task, retryable=False)
    fail(client, leased[4], retryable=False, error={"code": "refused", "message": "no"})
    return batch_id


@pytest.mark.parametrize("status", [None, *TaskStatus])
@pytest.mark.parametrize("kind", [None, *TaskKind])
def test_each_task_stands_on_one_page(
    client: ApiClient, pages: Any, status: TaskStatus | None, kind: TaskKind | None
) -> None:
    batch_id = some_of_each(client)
    found = walked(pages, batch_id, Wanted(status=status, kind=kind))
    every = client.get(f"/api/batches/{batch_id}/tasks?limit=200").json["tasks"]
    wanted = {task["id"] for task in every if status in (None, task["status"]) and kind in (None, task["kind"])}
    assert set(found) == wanted
    counts = pages.counts(batch_id, 1)
    assert len(found) == sum(
        amount
        for of_kind, by_status in counts.items()
        for of_status, amount in by_status.items()
        if kind in (None, of_kind) and status in (None, of_status)
    )


def test_all_tasks_stand_in_the_order_of_their_ids(client: ApiClient, pages: Any) -> None:
    batch_id = some_of_each(client)
    assert walked(pages, batch_id, Wanted()) == listed(client, batch_id)
    assert walked(pages, batch_id, Wanted(status=TaskStatus.FAILED)) == listed(client, batch_id, "&status=FAILED")


def test_by_the_code_of_the_error(client: ApiClient, pages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = some_of_each(client)
    failed = listed(client, batch_id, "&status=FAILED")
    monkeypatch.setattr(task_walk, "ERRORS_AT_ONCE", 1)
    assert walked(pages, batch_id, Wanted(code="timeout"), limit=1) == failed[:2]
    assert walked(pages, batch_id, Wanted(code="refused"), limit=1) == failed[2:]
    assert walked(pages, batch_id, Wanted(code="other"), limit=1) == []


def test_a_page_looks_at_so_many_tasks_and_its_cursor_goes_on(
    client: ApiClient, pages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = some_of_each(client)
    completed = walked(pages, batch_id, Wanted(status=TaskStatus.COMPLETED))
    refused = walked(pages, batch_id, Wanted(code="refused"))
    monkeypatch.setattr(task_walk, "MOST_LOOKED_AT", 3)
    monkeypatch.setattr(task_walk, "ERRORS_AT_ONCE", 1)
    page = pages.page(batch_id, Wanted(status=TaskStatus.LEASED, kind=TaskKind.STAGE), 50)
    assert (page.tasks, page.next_cursor) == ([], None)
    page = pages.page(batch_id, Wanted(kind=TaskKind.ANALYZE), 50)
    assert page.tasks == []
    assert page.next_cursor is not None
    assert walked(pages, batch_id, Wanted(status=TaskStatus.COMPLETED), limit=50) == completed
    assert walked(pages, batch_id, Wanted(code="refused"), limit=50) == refused


@pytest.mark.parametrize("status", [None, *TaskStatus])
def test_by_id_every_page_is_full(
    client: ApiClient, pages: Any, monkeypatch: pytest.MonkeyPatch, status: TaskStatus | None
) -> None:
    batch_id = some_of_each(client)
    monkeypatch.setattr(task_walk, "MOST_LOOKED_AT", 1)
    found = walked(pages, batch_id, Wanted(status=status, by_id=True))
    assert found == sorted(found, key=int)
    assert found == listed(client, batch_id, f"&status={status}" if status else "")
    assert len(pages.page(batch_id, Wanted(status=status, by_id=True), 2).tasks) == min(2, len(found))
    assert len(found) == sum(
        amount
        for by_status in pages.counts(batch_id, 1).values()
        for of_status, amount in by_status.items()
        if status in (None, of_status)
    )


@pytest.mark.parametrize("status", [TaskStatus.QUEUED, TaskStatus.LEASED, TaskStatus.FAILED])
def test_a_status_is_found_by_its_own_index(client: ApiClient, pages: Any, app: Any, status: TaskStatus) -> None:
    """A million tasks that are in another status are not walked past."""
    batch_id = some_of_each(client)
    engine = app.extensions["interlock"].engine
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by what it has counted: nothing to see on a small table")
    sent: list[Any] = []
    event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2:4]))
    for wanted in (Wanted(status=status), Wanted(status=status, kind=TaskKind.ANALYZE)):
        sent.clear()
        pages.page(batch_id, wanted)
        (walk,) = (each for each in sent if f"'{status}'" in each[0])
        with engine.connect() as connection:
            plan = " ".join(map(str, connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {walk[0]}", walk[1])))
        assert f"ix_tasks_{status.lower()}" in plan
        assert "ix_tasks_of_run" not in plan


def test_of_an_earlier_run(client: ApiClient, pages: Any) -> None:
    batch_id = int(bring(client, "COMPLETED", documents=1)["id"])
    act(client, batch_id, "restage")
    first = pages.page(batch_id, Wanted(run=1))
    assert (first.run, len(first.tasks), pages.counts(batch_id, 1)["ANALYZE"]["COMPLETED"]) == (1, 2, 1)
    assert pages.page(batch_id, Wanted()).run == 2


@pytest.mark.parametrize("cursor", ["x", "0", "-1", "1_x", "_", "2020-01-01_0", "9" * 30])
@pytest.mark.parametrize("status", [None, TaskStatus.QUEUED, TaskStatus.FAILED])
def test_a_cursor_that_no_page_gave(client: ApiClient, pages: Any, cursor: str, status: TaskStatus | None) -> None:
    batch_id = int(create_ready(client)["id"])
    with pytest.raises(Invalid):
        pages.page(batch_id, Wanted(status=status), after=cursor)


def test_no_such_batch(pages: Any) -> None:
    with pytest.raises(NotFound):
        pages.page(999_999, Wanted())


def test_a_task_with_what_it_asks(client: ApiClient, pages: Any) -> None:
    batch_id = int(
        bring(client, "ANALYZING", documents=1, prompts=[{"name": "p", "text": "Read {document} of {name}"}])["id"]
    )
    (task,) = lease(client, batch_id)
    found = pages.with_payload(batch_id, task["id"])
    assert found["payload"] == task["payload"]
    assert found["payload"]["messages"] == [{"role": "user", "content": "Read read of 0.txt"}]
    assert found["task"] == client.get(f"/api/tasks/{task['id']}").json
    assert found["batch"]["id"] == batch_id


def test_a_ready_made_task_with_its_line(client: ApiClient, pages: Any) -> None:
    batch_id = int(create_ready(client)["id"])
    for action in ("stage", "run"):
        act(client, batch_id, action)
    (task,) = lease(client, batch_id)
    assert pages.with_payload(batch_id, task["id"])["payload"] == task["payload"]


def test_a_task_of_another_batch_is_not_found(client: ApiClient, pages: Any) -> None:
    batch_id, other = (int(bring(client, "STAGING", documents=1)["id"]) for _ in range(2))
    (task_id,) = listed(client, batch_id)
    assert pages.with_payload(batch_id, task_id)["task"]["id"] == task_id
    for wrong, ident in ((other, task_id), (batch_id, "nothing"), (batch_id, "999999")):
        with pytest.raises(NotFound):
            pages.with_payload(wrong, ident)


def test_the_number_of_statements_does_not_depend_on_the_number_of_tasks(
    client: ApiClient, pages: Any, app: Any
) -> None:
    few, many = int(bring(client, "ANALYZING", documents=1)["id"]), int(bring(client, "ANALYZING", documents=60)["id"])
    sent = []
    event.listen(app.extensions["interlock"].engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    amounts = {}
    for batch_id in (few, many):
        for wanted in (Wanted(), *(Wanted(status=status) for status in TaskStatus), Wanted(code="x")):
            sent.clear()
            pages.counts(batch_id, pages.page(batch_id, wanted).run)
            amounts[batch_id, wanted] = len(sent)
    assert max(amounts.values()) <= 6
    finish_all(client, many)
