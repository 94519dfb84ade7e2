"""Runs: what `stage` and `restage` begin, what they and `reset` clear, and that earlier results stay readable."""

from typing import Any

import pytest

from app.domain.leases import TaskKind
from app.models import Task
from app.services import Services
from app.services.input import edits
from tests.services import stories
from tests.services.stories import OPERATOR, act, bring, complete, create, lease, tasks_of, view

TIMES = ("staged_at", "started_at", "finished_at")


def results(services: Services, batch_id: int, run: int | None = None) -> list[dict[str, Any]]:
    return list(services.reads.results.lines(batch_id, run))


def finish_saying(services: Services, batch_id: int, text: str) -> None:
    """Complete the analysis of an ANALYZING batch; every answer is `text`."""
    for leased in lease(services, batch_id):
        complete(services, leased, {"text": text, "usage": {"output_tokens": 3}})


def test_run_counts_the_stagings(services: Services) -> None:
    """Contract 2: 0 until the first; `stage` and `restage` begin the next, nothing else does."""
    batch_id = create(services)
    way = "reset stage * run pause resume * restage * run cancel reset stage * run * reset"
    runs = [view(services, batch_id)["run"] for _ in stories.walk(services, batch_id, way, reuse="none")]
    assert runs == [0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]


def test_the_results_of_earlier_runs_stay_readable(services: Services) -> None:
    """Contract 2: tasks and results belong to a run."""
    batch_id = bring(services, "ANALYZING", documents=2, prompts=2)
    finish_saying(services, batch_id, "first")
    first = results(services, batch_id)
    act(services, batch_id, "restage", reuse="none")
    assert results(services, batch_id) == []
    assert results(services, batch_id, 1) == first
    stories.finish_all(services, batch_id)
    act(services, batch_id, "run")
    finish_saying(services, batch_id, "second")
    assert results(services, batch_id, 1) == first
    assert [line["result"]["text"] for line in first] == ["first"] * 4
    second = results(services, batch_id)
    assert [line["result"]["text"] for line in second] == ["second"] * 4
    assert ({line["run"] for line in first}, {line["run"] for line in second}) == ({1}, {2})
    assert not {line["task_id"] for line in first} & {line["task_id"] for line in second}
    act(services, batch_id, "reset")
    assert (results(services, batch_id, 1), results(services, batch_id, 2)) == (first, second)


def test_progress_is_the_present_runs(services: Services) -> None:
    """Contract 5: `progress` counts the present run's tasks."""
    batch_id = bring(services, "COMPLETED", documents=2)
    act(services, batch_id, "restage")
    assert view(services, batch_id)["progress"] == {
        "staging": {"total": 2, "completed": 0, "failed": 0, "skipped": 0},
        "analysis": {"total": 0, "queued": 0, "leased": 0, "completed": 0, "failed": 0},
    }


def test_the_times_of_a_run(services: Services) -> None:
    """Contract 5: `staged_at`, `started_at`, `finished_at` are when the run was staged, started and finished."""
    batch_id = create(services)
    assert [view(services, batch_id)[time] for time in TIMES] == [None] * 3
    act(services, batch_id, "stage")
    assert [view(services, batch_id)[time] for time in TIMES] == [None] * 3
    stories.finish_all(services, batch_id)
    staged = view(services, batch_id)
    assert (staged["staged_at"], staged["started_at"]) == (staged["updated_at"], None)
    act(services, batch_id, "run")
    started = view(services, batch_id)
    assert [started[time] for time in TIMES] == [staged["staged_at"], started["updated_at"], None]
    act(services, batch_id, "pause")
    act(services, batch_id, "resume")
    assert view(services, batch_id)["started_at"] == started["started_at"]
    stories.finish_all(services, batch_id)
    finished = view(services, batch_id)
    assert [finished[t] for t in TIMES] == [staged["staged_at"], started["started_at"], finished["updated_at"]]


@pytest.mark.parametrize("action", ["restage", "reset"])
@pytest.mark.parametrize("state", ["COMPLETED", "FAILED"])
def test_what_the_next_beginning_clears(services: Services, state: str, action: str) -> None:
    """Contract 2: `stage`, `restage` and `reset` clear `failure` and the three times; nothing else is touched."""
    batch_id = bring(services, state)
    before = view(services, batch_id)
    assert before["finished_at"]
    act(services, batch_id, action)
    after = view(services, batch_id)
    assert [after[name] for name in ("failure", *TIMES)] == [None] * 4
    kept = ("id", "name", "description", "input", "options", "created_at")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_documents_added_after_a_reset_belong_to_the_next_run(services: Services) -> None:
    """Contract 5: documents can be added while the batch is SAVED; each x prompt x model is one task."""
    batch_id = bring(services, "COMPLETED", documents=1, prompts=2, models=2)
    act(services, batch_id, "reset")
    edits.add_documents(services.batches, batch_id, [stories.document("late.txt", "late")], OPERATOR)
    stories.follow(services, batch_id, "COMPLETED")
    assert (len(results(services, batch_id, 1)), len(results(services, batch_id, 2))) == (4, 8)
    named = {(line["document"]["name"], line["prompt"], line["model"]) for line in results(services, batch_id)}
    assert named == {(d, p, m) for d in ("0.txt", "late.txt") for p in ("p0", "p1") for m in ("m0", "m1")}


def test_staging_crosses_documents_with_prompts_and_models(services: Services) -> None:
    """Contract 1 and 5: each document x prompt x model is one task, its prompt rendered with the staged text."""
    batch_id = bring(services, "STAGING", documents=2, prompts=2, models=2)
    for leased in lease(services, batch_id):
        assert leased["kind"] == TaskKind.STAGE
        assert set(leased["payload"]) == {"document", "text"}
        complete(services, leased, {"text": leased["payload"]["text"].upper(), "metadata": {}})
    act(services, batch_id, "run")
    seen = set()
    for leased in lease(services, batch_id):
        payload = leased["payload"]
        text = f"TEXT {payload['document']['name'][0]}"
        assert payload["messages"] == [{"role": "user", "content": f"Summarise:\n\n{text}"}]
        assert (payload["connection"], payload["params"]) == ("local", {})
        seen.add((payload["document"]["name"], payload["prompt"], payload["model"]))
    assert len(seen) == 8


def test_ready_made_tasks_are_staged_at_once(services: Services) -> None:
    """Contract 5: a ready-made line is the payload of its task, and the results have its `custom_id`."""
    batch_id = stories.create_ready(services, 2)
    assert act(services, batch_id, "stage")["batch"]["state"] == "STAGED"
    act(services, batch_id, "run")
    leased = lease(services, batch_id)
    line = {"method": "POST", "url": "/v1/x", "body": {"model": "m"}}
    assert [each["payload"] for each in leased] == [{"custom_id": n, **line} for n in ("0", "1")]
    for each in leased:
        complete(services, each)
    assert [(line["custom_id"], line["document"]) for line in results(services, batch_id)] == [("0", None), ("1", None)]


def test_the_work_of_an_earlier_run_is_not_handed_out(services: Services) -> None:
    """Contract 2: whether a task may be leased follows from its batch's state and run."""
    batch_id = bring(services, "ANALYZING", documents=3)
    act(services, batch_id, "cancel")
    act(services, batch_id, "restage")
    leased = lease(services, batch_id)
    assert {(each["run"], each["kind"]) for each in leased} == {(2, "STAGE")}
    assert [each["status"] for each in tasks_of(services, batch_id, run=1)] == ["COMPLETED"] * 3 + ["QUEUED"] * 3
    assert {row.run for row in stories.rows_of(services, Task)} == {1, 2}
