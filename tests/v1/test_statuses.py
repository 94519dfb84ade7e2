"""Every status of a batch, seen from outside: what leads to it, its times, its counts and its files."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from flask import Flask
from openai.types import Batch

from app.services import Services
from app.web.downloads import MOST_DOWNLOADS, Place
from tests.services.stories import create_of_file
from tests.support.server import Shared
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.v1.conftest import Sdk
from tests.v1.hands import Hands, reach
from tests.v1.lines import content_of, create, input_file, line, read

MakeHands = Callable[[Batch], Hands]
TIMES = (
    "in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at",
)  # fmt: skip


def times(batch: Batch) -> set[str]:
    """The times that a batch has, beside those that each has."""
    return {name for name in TIMES if getattr(batch, name) is not None}


def interlock(batch: Batch) -> dict[str, Any]:
    found: dict[str, Any] = batch.interlock  # type: ignore[attr-defined]
    return found


def act(shared: Shared, batch: Batch, action: str, **context: Any) -> None:
    """Request an action of Interlock's own API."""
    with shared.server.session("operator") as http:
        url = f"{shared.server.url}/api/batches/{interlock(batch)['batch_id']}/action"
        answer = http.post(url, json={"action": action, "context": context}, timeout=LIMIT_SECONDS)
        assert answer.status_code == 200, answer.text


def audit(shared: Shared, batch: Batch) -> list[dict[str, Any]]:
    with shared.server.session("viewer") as http:
        url = f"{shared.server.url}/api/batches/{interlock(batch)['batch_id']}/audit"
        rows: list[dict[str, Any]] = http.get(url, timeout=LIMIT_SECONDS).json()["audit"]
    return rows


def test_completed(client: openai.OpenAI, shared: Shared, hands: MakeHands) -> None:
    made = create(client, *[line(str(n)) for n in range(3)], metadata={"team": "a", "": ""})
    assert made.status == "validating"
    assert made.id.startswith("batch_")
    assert (made.object, made.endpoint, made.completion_window) == ("batch", "/v1/chat/completions", "24h")
    assert (made.metadata, made.errors, made.output_file_id, made.error_file_id) == (
        {"team": "a", "": ""},
        None,
        None,
        None,
    )
    assert made.expires_at == made.created_at + 86_400
    assert times(made) == set()

    running = reach(client, made, "in_progress")
    assert times(running) == {"in_progress_at"}
    assert running.model == "m"
    assert running.request_counts is not None
    assert running.request_counts.to_dict() == {"total": 3, "completed": 0, "failed": 0}
    worker = hands(made)
    first, second, third = worker.lease(3)
    for task, n in ((third, 2), (first, 0)):  # not in the order of the input
        worker.complete(task, body={"n": n, "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
    worker.fail(second)

    done = reach(client, made, "completed")
    assert times(done) == {"in_progress_at", "finalizing_at", "completed_at"}
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {"total": 3, "completed": 2, "failed": 1}
    assert [(each["custom_id"], each["response"]["body"]["n"]) for each in read(client, done.output_file_id)] == [
        ("0", 0),
        ("2", 2),
    ]
    (bad,) = read(client, done.error_file_id)
    assert (bad["custom_id"], bad["response"]) == ("1", None)
    assert bad["error"] == {"code": "request_refused", "message": "no"}
    assert done.usage is not None
    assert done.usage.to_dict() == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    }
    assert [(row["trigger"], row["actor"].split()[0]) for row in audit(shared, done)] == [
        ("create", "operator"),
        ("stage", "operator"),
        ("read_input", "system"),
        ("staging_completed", "system"),
        ("run", "operator"),
        ("tasks_finished", "system"),
    ]
    for file_id in (done.output_file_id, done.error_file_id):
        assert file_id
        file = client.files.retrieve(file_id)
        assert (file.purpose, file.expires_at) == ("batch_output", None)


def test_completed_without_an_answer_has_only_an_error_file(client: openai.OpenAI, hands: MakeHands) -> None:
    made = create(client, line("a"), line("b"))
    worker = hands(reach(client, made, "in_progress"))
    for task in worker.lease(2):
        worker.fail(task)
    done = reach(client, made, "completed")
    assert done.output_file_id is None
    assert [each["custom_id"] for each in read(client, done.error_file_id)] == ["a", "b"]
    assert interlock(done)["state"] == "FAILED"


def test_completed_without_a_failure_has_only_an_output_file(client: openai.OpenAI, hands: MakeHands) -> None:
    made = create(client, line("a"), output_expires_after={"anchor": "created_at", "seconds": 7200})
    hands(reach(client, made, "in_progress")).complete_all()
    done = reach(client, made, "completed")
    assert done.error_file_id is None
    assert done.output_file_id
    file = client.files.retrieve(done.output_file_id)
    assert file.expires_at == file.created_at + 7200


def test_failed_by_its_input(client: openai.OpenAI) -> None:
    made = create(client, line("a"), b"no json", line("a"))
    failed = reach(client, made, "failed")
    assert times(failed) == {"failed_at"}
    assert failed.request_counts is not None
    assert failed.request_counts.to_dict() == {"total": 0, "completed": 0, "failed": 0}
    assert (failed.output_file_id, failed.error_file_id) == (None, None)
    assert failed.errors is not None
    assert failed.errors.data
    assert [(each.code, each.line) for each in failed.errors.data] == [
        ("invalid_json_line", 2),
        ("duplicate_custom_id", 3),
    ]
    assert interlock(failed)["reason"] == "The input file cannot be used; errors in it: 2."


def test_failed_by_a_critical_error_has_partial_files(client: openai.OpenAI, hands: MakeHands) -> None:
    made = create(client, *map(line, "abc"))
    worker = hands(reach(client, made, "in_progress"))
    first, second = worker.lease(2)
    worker.complete(first)
    worker.fail(second, critical=True)
    failed = reach(client, made, "failed")
    assert times(failed) == {"in_progress_at", "failed_at"}
    assert failed.errors is not None
    assert failed.errors.data
    assert [each.code for each in failed.errors.data] == ["critical_error"]
    assert [each["custom_id"] for each in read(client, failed.output_file_id)] == ["a"]
    assert [each["custom_id"] for each in read(client, failed.error_file_id)] == ["b"]


def test_cancelling_and_cancelled(client: openai.OpenAI, shared: Shared, hands: MakeHands) -> None:
    made = create(client, *map(line, "abc"))
    worker = hands(reach(client, made, "in_progress"))
    first, second = worker.lease(2)
    worker.complete(first)
    cancelling = client.batches.cancel(made.id)
    assert cancelling.status == "cancelling"  # a line is still under way
    assert times(cancelling) == {"in_progress_at", "cancelling_at"}
    assert client.batches.cancel(made.id).status == "cancelling"
    worker.release(second)
    cancelled = reach(client, made, "cancelled")
    assert times(cancelled) == {"in_progress_at", "cancelling_at", "cancelled_at"}
    assert cancelled.cancelling_at == cancelling.cancelling_at
    assert [each["custom_id"] for each in read(client, cancelled.output_file_id)] == ["a"]
    rest = read(client, cancelled.error_file_id)
    assert [(each["custom_id"], each["response"], each["error"]["code"]) for each in rest] == [
        ("b", None, "batch_cancelled"),
        ("c", None, "batch_cancelled"),
    ]
    assert client.batches.cancel(made.id) == cancelled
    assert audit(shared, made)[-1]["actor"].split()[0] == "operator"


def test_a_line_that_is_answered_while_cancelling_is_under_way_no_more(client: openai.OpenAI, hands: MakeHands) -> None:
    """The answer came too late to count; `retry` uses it, and the line is not paid for again."""
    made = create(client, *map(line, "ab"))
    worker = hands(reach(client, made, "in_progress"))
    (first,) = worker.lease(1)
    assert client.batches.cancel(made.id).status == "cancelling"
    worker.complete_late(first)
    cancelled = reach(client, made, "cancelled")
    assert {each["error"]["code"] for each in read(client, cancelled.error_file_id)} == {"batch_cancelled"}
    client.post(f"/batches/{made.id}/retry", cast_to=Batch)
    reach(client, made, "in_progress")
    assert [task["payload"]["custom_id"] for task in worker.lease(5)] == ["b"]


def test_cancelled_while_validating(client: openai.OpenAI, shared: Shared) -> None:
    """The wish is kept, and takes effect before a line is leased."""
    made = create(client, *map(line, "ab"))
    assert client.batches.cancel(made.id).status in ("cancelling", "cancelled")
    cancelled = reach(client, made, "cancelled")
    rest = read(client, cancelled.error_file_id)
    assert [(each["custom_id"], each["error"]["code"]) for each in rest] == [
        ("a", "batch_cancelled"),
        ("b", "batch_cancelled"),
    ]
    assert cancelled.output_file_id is None
    assert [row["trigger"] for row in audit(shared, made)][-2:] == ["run", "cancel"]


def test_expired(client: openai.OpenAI, shared: Shared, hands: MakeHands) -> None:
    """At the deadline, which is moved here by a resume; a line that is under way counts as not made."""
    made = create(client, *map(line, "abc"))
    worker = hands(reach(client, made, "in_progress"))
    first, _ = worker.lease(2)
    worker.complete(first)
    act(shared, made, "pause")
    act(shared, made, "resume", deadline_at="2026-01-01T00:00:00Z")
    expired = reach(client, made, "expired")
    assert times(expired) == {"in_progress_at", "expired_at"}
    assert [each["custom_id"] for each in read(client, expired.output_file_id)] == ["a"]
    rest = read(client, expired.error_file_id)
    assert [(each["custom_id"], each["error"]["code"]) for each in rest] == [
        ("b", "batch_expired"),
        ("c", "batch_expired"),
    ]


def test_paused_is_in_progress_and_the_deadline_moves(client: openai.OpenAI, hands: MakeHands) -> None:
    made = create(client, line("a"))
    reach(client, made, "in_progress")
    paused = client.post(f"/batches/{made.id}/pause", cast_to=Batch, body={"reason": "the night"})
    assert (paused.status, interlock(paused)["state"], interlock(paused)["reason"]) == (
        "in_progress",
        "PAUSED",
        "the night",
    )
    assert hands(made).lease() == []
    first = made.expires_at
    assert first is not None

    def moved() -> Batch | None:
        shown = client.batches.retrieve(made.id)
        return shown if shown.expires_at is not None and shown.expires_at > first else None

    later = wait_until(moved, "the deadline to move")
    assert later is not None
    assert later.expires_at is not None
    resumed = client.post(f"/batches/{made.id}/resume", cast_to=Batch)
    assert (resumed.status, interlock(resumed)["state"]) == ("in_progress", "ANALYZING")
    hands(made).complete_all()
    done = reach(client, made, "completed")
    assert done.expires_at is not None
    assert done.expires_at >= later.expires_at


@pytest.mark.parametrize("action", ["pause", "resume", "retry"])
def test_an_action_that_the_state_refuses(client: openai.OpenAI, action: str) -> None:
    made = create(client, b"no json")
    reach(client, made, "failed")
    if action == "retry":
        again = client.post(f"/batches/{made.id}/retry", cast_to=Batch)
        assert again.status == "validating"
        assert reach(client, made, "failed").errors is not None
        return
    with pytest.raises(openai.ConflictError) as refused:
        client.post(f"/batches/{made.id}/{action}", cast_to=Batch)
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert "FAILED" in refused.value.message


def test_retry_calls_only_the_lines_without_an_answer(client: openai.OpenAI, hands: MakeHands) -> None:
    """Equal lines are samples: the one that failed is called again, although the other one has an answer."""
    same = {"messages": [{"role": "user", "content": "same"}]}
    made = create(client, line("a", **same), line("b", **same))
    worker = hands(reach(client, made, "in_progress"))
    first, second = worker.lease(2)
    worker.complete(first)
    worker.fail(second)
    before = reach(client, made, "completed")
    again = client.post(f"/batches/{made.id}/retry", cast_to=Batch)
    assert (again.status, again.output_file_id, interlock(again)["run"]) == ("validating", None, 2)
    reach(client, made, "in_progress")
    (task,) = worker.lease(5)
    assert task["payload"]["custom_id"] == "b"
    worker.complete(task)
    after = reach(client, made, "completed")
    assert [each["custom_id"] for each in read(client, after.output_file_id)] == ["a", "b"]
    assert after.error_file_id is None
    assert [each["custom_id"] for each in read(client, before.error_file_id)] == ["b"]  # the old files stay


def test_what_cannot_be_cancelled(client: openai.OpenAI, hands: MakeHands) -> None:
    completed, failed = create(client, line("a")), create(client, b"no json")
    hands(reach(client, completed, "in_progress")).complete_all()
    for batch, status in ((completed, "completed"), (failed, "failed")):
        reach(client, batch, status)
        with pytest.raises(openai.ConflictError) as refused:
            client.batches.cancel(batch.id)
        assert f"Cannot cancel a batch with status '{status}'." in refused.value.message
        assert refused.value.response.headers["x-should-retry"] == "false"


def test_a_deleted_input_leaves_the_batch_as_it_is(client: openai.OpenAI, hands: MakeHands) -> None:
    file_id = input_file(client, line("a"))
    made = client.batches.create(input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h")
    client.files.delete(file_id)
    hands(reach(client, made, "in_progress")).complete_all()
    done = reach(client, made, "completed")
    assert done.input_file_id == file_id
    assert done.output_file_id
    client.files.delete(done.output_file_id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(done.output_file_id)
    assert client.batches.retrieve(made.id) == done


def test_lists_have_pages(client: openai.OpenAI) -> None:
    made = [create(client, line(str(n))).id for n in range(3)]
    first = client.batches.list(limit=2)
    assert ([each.id for each in first.data], first.has_more) == ([made[2], made[1]], True)
    assert first.get_next_page().data[0].id == made[0]
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.list(limit=101)
    assert refused.value.param == "limit"
    with pytest.raises(openai.NotFoundError, match="No batch found with id 'batch_999999'"):
        client.batches.retrieve("batch_999999")


def test_who_may_do_what(sdk: Sdk) -> None:
    made = create(sdk("operator"), line("a"))
    assert sdk("viewer").batches.retrieve(made.id).id == made.id
    for client in (sdk("viewer"), sdk("worker")):
        with pytest.raises(openai.PermissionDeniedError):
            client.batches.create(input_file_id="f", endpoint="/v1/embeddings", completion_window="24h")
        with pytest.raises(openai.PermissionDeniedError):
            client.batches.cancel(made.id)
    with pytest.raises(openai.PermissionDeniedError):
        sdk("worker").batches.list()


def test_the_answers_so_far(client: openai.OpenAI, hands: MakeHands) -> None:
    made = create(client, *map(line, "abc"))
    assert interlock(made)["results_file_id"] is None
    running = reach(client, made, "in_progress")
    file_id = interlock(running)["results_file_id"]
    assert read(client, file_id) == []
    worker = hands(made)
    _, second, _ = worker.lease(3)
    worker.complete(second)
    assert [each["custom_id"] for each in read(client, file_id)] == ["b"]
    file = client.files.retrieve(file_id)
    assert file.bytes == len(client.files.content(file_id).content)
    with pytest.raises(openai.NotFoundError):
        client.files.content("file-results-999999")


def test_few_read_the_answers_so_far_at_once(services: Services, app: Flask) -> None:
    """Each reader has a file of its own on the disk."""
    path = f"/v1/files/file-results-{create_of_file(services, content_of(line('a')))}"
    headers = {"Authorization": f"Bearer {services.tokens.create('v', 'viewer')['token']}"}
    with app.test_client() as http:
        places = [Place() for _ in range(MOST_DOWNLOADS)]
        try:
            for each in (path, f"{path}/content"):
                busy = http.get(each, headers=headers)
                assert (busy.status_code, busy.json["error"]["type"]) == (503, "server_error")
                assert int(busy.headers["Retry-After"]) >= 1
        finally:
            for place in places:
                place.release()
        for _ in range(MOST_DOWNLOADS + 1):  # each gives its place back
            assert http.get(path, headers=headers).json["bytes"] == 0
            with http.get(f"{path}/content", headers=headers) as content:
                assert (content.status_code, content.data) == (200, b"")
