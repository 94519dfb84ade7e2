"""No answer is paid for twice: which answers a new run takes from earlier runs, and which tasks it does again."""

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.leases import TaskStatus
from app.errors import ReportRefused
from app.models import Task
from app.services import Services
from app.services.input import edits
from app.services.task import analysis_tasks, run_tasks
from tests.services import stories
from tests.services.stories import OPERATOR, act, ask, complete, create, fail, lease, tasks_of, trail, view
from tests.support.row_locks import HoldRow

Answers = dict[tuple[str, str, str], str]  # document, prompt, model -> the answer


def read_all(services: Services, batch_id: int) -> None:
    """Stage every document of a STAGING batch, each with its own text."""
    for leased in lease(services, batch_id):
        complete(services, leased, {"text": leased["payload"]["text"]})


def place(leased: dict[str, Any]) -> tuple[str, str, str]:
    payload = leased["payload"]
    return payload["document"]["name"], payload["prompt"], payload["model"]


def answer_all(services: Services, batch_id: int) -> set[tuple[str, str, str]]:
    """Run a STAGED batch to its end, with an answer that names its task; return the calls."""
    act(services, batch_id, "run")
    called = lease(services, batch_id)
    for leased in called:
        complete(services, leased, {"text": f"answer {leased['id']}", "usage": {"output_tokens": 3}})
    return {place(leased) for leased in called}


def again(services: Services, batch_id: int, action: str = "restage", **context: Any) -> set[tuple[str, str, str]]:
    """Go through a whole run; return the calls."""
    act(services, batch_id, action, **context)
    read_all(services, batch_id)
    return answer_all(services, batch_id)


def answers(services: Services, batch_id: int, run: int | None = None) -> list[dict[str, Any]]:
    return list(services.reads.results.lines(batch_id, run))


def texts(services: Services, batch_id: int, run: int | None = None) -> list[str]:
    return [line["result"]["text"] for line in answers(services, batch_id, run)]


@pytest.fixture
def batch_id(services: Services) -> int:
    """A COMPLETED batch of 2 documents x 2 prompts x 2 models."""
    made = create(services, documents=2, prompts=2, models=2)
    assert len(again(services, made, "stage")) == 8
    return made


def test_a_restage_of_an_unchanged_batch_makes_no_call(services: Services, batch_id: int) -> None:
    act(services, batch_id, "restage")
    read_all(services, batch_id)
    assert view(services, batch_id)["progress"]["analysis"] == {
        "total": 8, "queued": 0, "leased": 0, "completed": 8, "failed": 0, "truncated": 0,
    }  # fmt: skip
    ran = act(services, batch_id, "run")
    assert (ran["new_state"], ran["batch"]["state"]) == ("ANALYZING", "COMPLETED")
    assert trail(services, batch_id)[-4:] == ["restage", "staging_completed", "run", "tasks_finished"]
    assert lease(services, batch_id) == []
    first, second = answers(services, batch_id, 1), answers(services, batch_id, 2)
    assert [line["result"] for line in second] == [line["result"] for line in first]
    assert [line["reused_from"] for line in second] == [line["task_id"] for line in first]
    assert ({line["reused_from"] for line in first}, {line["attempt"] for line in second}) == ({None}, {0})
    shown = stories.task(services, second[0]["task_id"])
    assert (shown["status"], shown["reused_from"]) == ("COMPLETED", first[0]["task_id"])
    assert shown["finished_at"] == second[0]["finished_at"] > first[0]["finished_at"]
    listed = [task for task in tasks_of(services, batch_id) if task["kind"] == "ANALYZE"]
    assert [task["reused_from"] for task in listed] == [line["task_id"] for line in first]


def test_what_was_used_is_counted_where_it_was_paid(services: Services, batch_id: int) -> None:
    again(services, batch_id)
    copies = [row for row in stories.rows_of(services, Task) if row.reused_from is not None]
    assert {(row.input_tokens, row.output_tokens, row.cost_nanos, row.latency_ms) for row in copies} == {
        (0, 0, 0, None)
    }


def test_a_retry_does_what_failed_and_no_more(services: Services) -> None:
    batch_id = create(services, documents=3, max_failed_tasks=0)
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    act(services, batch_id, "run")
    first, second, _ = lease(services, batch_id)
    complete(services, first)
    fail(services, second, retryable=False)
    assert view(services, batch_id)["state"] == "FAILED"
    assert again(services, batch_id) == {("1.txt", "p0", "m0"), ("2.txt", "p0", "m0")}
    assert view(services, batch_id)["state"] == "COMPLETED"
    assert [line["reused_from"] for line in answers(services, batch_id)] == [first["id"], None, None]


def test_an_answer_that_came_too_late_is_taken(services: Services) -> None:
    batch_id = create(services, documents=2)
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    act(services, batch_id, "run")
    late, lost = lease(services, batch_id)
    act(services, batch_id, "cancel")
    with pytest.raises(ReportRefused):
        complete(services, late, {"text": "late, but paid for"})
    with pytest.raises(ReportRefused):
        fail(services, lost)
    assert again(services, batch_id) == {("1.txt", "p0", "m0")}
    line = answers(services, batch_id)[0]
    assert (line["result"], line["reused_from"]) == ({"text": "late, but paid for"}, late["id"])
    assert again(services, batch_id) == set()  # and from the copy of it
    assert answers(services, batch_id)[0]["reused_from"] == late["id"]


def test_a_late_answer_while_the_restage_is_under_way(services: Services) -> None:
    """It answers tasks written after it came; a task written before is done again, and nothing is lost."""
    batch_id = create(services, documents=2)
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    act(services, batch_id, "run")
    leased = lease(services, batch_id)
    act(services, batch_id, "cancel")
    act(services, batch_id, "restage")
    first, second = lease(services, batch_id)
    complete(services, first, {"text": first["payload"]["text"]})
    for each in leased:
        with pytest.raises(ReportRefused):
            complete(services, each, {"text": "late"})
    complete(services, second, {"text": second["payload"]["text"]})
    assert answer_all(services, batch_id) == {("0.txt", "p0", "m0")}
    assert [line["reused_from"] for line in answers(services, batch_id)] == [None, leased[1]["id"]]
    assert len(stories.task(services, leased[0]["id"])["late_results"]) == 1


def test_an_answer_goes_through_many_runs_and_names_its_first_task(services: Services, batch_id: int) -> None:
    first = [line["task_id"] for line in answers(services, batch_id, 1)]
    for _ in range(3):
        assert again(services, batch_id) == set()
        assert [line["reused_from"] for line in answers(services, batch_id)] == first
    assert view(services, batch_id)["run"] == 4


def test_a_run_that_was_never_staged_loses_no_answer(services: Services, batch_id: int) -> None:
    """Restage twice: the first one failed before it had written anything."""
    act(services, batch_id, "restage")
    fail(services, lease(services, batch_id)[0], retryable=False)
    assert view(services, batch_id)["state"] == "FAILED"
    assert again(services, batch_id) == set()
    assert texts(services, batch_id) == texts(services, batch_id, 1)


def test_nothing_is_reused_on_request(services: Services, batch_id: int) -> None:
    assert len(again(services, batch_id, reuse="none")) == 8
    assert not set(texts(services, batch_id, 1)) & set(texts(services, batch_id, 2))
    assert again(services, batch_id) == set()  # `reuse` was for one run
    assert texts(services, batch_id, 3) == texts(services, batch_id, 2)  # the newest answer


A, B = "0.txt", "1.txt"
EVERY = {(document, prompt, model) for document in (A, B) for prompt in ("p0", "p1") for model in ("m0", "m1")}


@pytest.mark.parametrize(
    ("redo", "called"),
    [
        ({"models": ["m0"]}, {each for each in EVERY if each[2] == "m0"}),
        ({"models": ["local/m1"]}, {each for each in EVERY if each[2] == "m1"}),
        ({"models": ["m0", "local/m1"]}, EVERY),
        ({"prompts": ["p1"]}, {each for each in EVERY if each[1] == "p1"}),
        ({"prompts": ["p1"], "models": ["m0"]}, {(A, "p1", "m0"), (B, "p1", "m0")}),
        ({"status": ["COMPLETED"]}, EVERY),
        ({"status": ["FAILED", "QUEUED", "LEASED"]}, set()),
        ({"status": ["COMPLETED"], "prompts": ["p0"], "models": ["m1"]}, {(A, "p0", "m1"), (B, "p0", "m1")}),
        ({"status": ["FAILED"], "prompts": ["p0"]}, set()),
    ],
)
def test_a_part_is_done_again(
    services: Services, batch_id: int, redo: dict[str, list[str]], called: set[tuple[str, str, str]]
) -> None:
    expected = stories.ask(services, batch_id, "restage", redo=redo, dry_run=True)["effect"]["calls"]
    assert again(services, batch_id, redo=redo) == called
    assert expected == len(called)


def test_the_status_that_counts_is_the_latest_runs(services: Services) -> None:
    """A task that has an answer of run 1 failed in run 2: `status` FAILED does it again, otherwise it is answered."""
    batch_id = create(services, documents=2)
    again(services, batch_id, "stage")
    act(services, batch_id, "restage", reuse="none")
    read_all(services, batch_id)
    act(services, batch_id, "run")
    first, second = lease(services, batch_id)
    fail(services, first, retryable=False)
    complete(services, second, {"text": "second"})
    assert ask(services, batch_id, "restage", dry_run=True)["effect"]["calls"] == 0
    redo = {"status": ["FAILED"]}
    assert ask(services, batch_id, "restage", redo=redo, dry_run=True)["effect"]["calls"] == 1
    assert again(services, batch_id, redo=redo) == {("0.txt", "p0", "m0")}
    assert texts(services, batch_id)[1] == "second"


def test_the_status_is_that_of_the_task_not_of_its_twin(services: Services) -> None:
    """Ready-made tasks with the same question: each has its own status and answer."""
    batch_id = stories.create_ready(services, 3)
    act(services, batch_id, "stage")
    act(services, batch_id, "run")
    first, second, third = lease(services, batch_id)  # in one run, each of them is a call
    fail(services, first, retryable=False)
    complete(services, second, {"text": "second"})
    complete(services, third, {"text": "third"})
    act(services, batch_id, "restage", redo={"status": ["FAILED"]})
    act(services, batch_id, "run")
    (leased,) = lease(services, batch_id)
    assert leased["payload"]["custom_id"] == "0"
    complete(services, leased, {"text": "first"})
    assert texts(services, batch_id) == ["first", "second", "third"]
    assert [line["reused_from"] for line in answers(services, batch_id)] == [None, second["id"], third["id"]]


def test_a_task_that_failed_is_answered_by_its_twin(services: Services) -> None:
    """Two tasks with the same question are two calls in one run; in the next, one answer is enough for both."""
    batch_id = stories.create_ready(services, 2)
    act(services, batch_id, "stage")
    act(services, batch_id, "run")
    first, second = lease(services, batch_id)
    fail(services, first, retryable=False)
    complete(services, second, {"text": "second"})
    act(services, batch_id, "restage")
    assert act(services, batch_id, "run")["batch"]["state"] == "COMPLETED"
    assert [line["reused_from"] for line in answers(services, batch_id)] == [second["id"]] * 2


def test_late_answers_of_twins_are_each_its_own(services: Services) -> None:
    batch_id = stories.create_ready(services, 3)
    act(services, batch_id, "stage")
    act(services, batch_id, "run")
    leased = lease(services, batch_id)
    act(services, batch_id, "cancel")
    for each in leased[:2]:
        with pytest.raises(ReportRefused):
            complete(services, each, {"text": f"late {each['payload']['custom_id']}"})
    act(services, batch_id, "restage")
    assert act(services, batch_id, "run")["batch"]["state"] == "COMPLETED"
    assert texts(services, batch_id) == ["late 0", "late 1", "late 1"]
    assert [line["reused_from"] for line in answers(services, batch_id)] == [leased[n]["id"] for n in (0, 1, 1)]


def test_ready_made_tasks_are_reused_in_each_slice_by_action_and_sweeper(
    services: Services, another: Callable[[], Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tasks, "SLICE", 2)
    batch_id = stories.create_ready(services, 5)
    act(services, batch_id, "stage")
    services.sweeper.sweep()
    act(services, batch_id, "run")
    stories.finish_all(services, batch_id)
    act(services, batch_id, "restage")
    assert view(services, batch_id)["progress"]["analysis"]["completed"] == 2
    with monkeypatch.context() as patched:  # a process dies in its slice
        patched.setattr("app.services.task.task_counts.CountChanges.write", _die)
        with pytest.raises(KeyboardInterrupt):
            services.batches.write_tasks(batch_id)
    assert view(services, batch_id)["progress"]["analysis"]["completed"] == 2
    assert [another().batches.write_tasks(batch_id) for _ in range(3)] == [2, 1, 0]
    assert act(services, batch_id, "run")["batch"]["state"] == "COMPLETED"
    assert len(answers(services, batch_id)) == 5


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_many_tasks_are_written_some_at_a_time(
    services: Services, batch_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis_tasks, "ROWS", 3)
    assert again(services, batch_id, redo={"models": ["m1"], "status": ["COMPLETED"]}) == {
        each for each in EVERY if each[2] == "m1"
    }
    assert [line["reused_from"] is None for line in answers(services, batch_id)] == [False, True] * 4


def test_a_document_of_another_batch_answers_nothing(services: Services, batch_id: int) -> None:
    assert batch_id
    assert len(again(services, create(services, documents=1), "stage")) == 1


def test_only_a_changed_document_causes_calls(services: Services, batch_id: int) -> None:
    """Contract 2: reset, replace, stage, run: exactly the calls of that document."""
    first = answers(services, batch_id)
    act(services, batch_id, "reset")
    documents = services.reads.documents.page(batch_id)[0]
    assert [document["name"] for document in documents] == [A, B]
    edits.replace_document(services.batches, batch_id, documents[0]["id"], stories.document(A, "changed"), OPERATOR)
    forecast = ask(services, batch_id, "stage", dry_run=True)["effect"]
    assert again(services, batch_id, "stage") == {each for each in EVERY if each[0] == A}
    assert forecast["calls"] == 4
    assert answers(services, batch_id, 1) == first
    act(services, batch_id, "reset")  # and the first text again: run 1 has the answers
    edits.replace_document(services.batches, batch_id, documents[0]["id"], stories.document(A, "text 0"), OPERATOR)
    assert again(services, batch_id, "stage") == set()
    assert texts(services, batch_id) == [line["result"]["text"] for line in first]


@pytest.mark.parametrize(("prompt", "calls"), [("{name}: {document}", 1), ("{{name}}: {document}", 0)])
def test_a_documents_name_matters_where_the_prompt_contains_it(services: Services, prompt: str, calls: int) -> None:
    body = {
        "name": "b", "documents": [stories.document()], "prompts": [{"name": "p", "text": prompt}],
        "models": [{"connection": "local", "model": "m", "params": {}}], "options": {},
    }  # fmt: skip
    batch_id = int(edits.create_batch(services.batches, body, OPERATOR)["id"])
    again(services, batch_id, "stage")
    act(services, batch_id, "reset")
    (document,) = services.reads.documents.page(batch_id)[0]
    renamed = stories.document("renamed.txt")
    edits.replace_document(services.batches, batch_id, document["id"], renamed, OPERATOR)
    assert len(again(services, batch_id, "stage")) == calls


def test_a_run_with_reused_answers_is_not_one_whose_every_task_failed(services: Services) -> None:
    batch_id = create(services, documents=2)
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    act(services, batch_id, "run")
    first, second = lease(services, batch_id)
    complete(services, first)
    fail(services, second, retryable=False)
    act(services, batch_id, "restage")
    read_all(services, batch_id)
    act(services, batch_id, "run")
    fail(services, stories.lease_one(services, batch_id), retryable=False)
    assert view(services, batch_id)["state"] == "COMPLETED"
    assert view(services, batch_id)["progress"]["analysis"]["failed"] == 1


WRONG = [
    ({"reuse": "some"}, ["reuse"]),
    ({"reuse": 1}, ["reuse"]),
    ({"reuse": "none", "redo": {"models": ["m0"]}}, ["redo"]),
    ({"redo": []}, ["redo"]),
    ({"redo": "all"}, ["redo"]),
    ({"redo": {}}, ["redo"]),
    ({"redo": {"model": ["m0"]}}, ["redo", "model"]),
    ({"redo": {"mo\0del": ["m0"]}}, ["redo", "mo\0del"]),
    ({"redo": {"models": []}}, ["redo", "models"]),
    ({"redo": {"models": "m0"}}, ["redo", "models"]),
    ({"redo": {"models": [1]}}, ["redo", "models"]),
    ({"redo": {"models": ["m0", "m9"]}}, ["redo", "models"]),
    ({"redo": {"models": ["other/m0"]}}, ["redo", "models"]),
    ({"redo": {"prompts": ["p9\0"]}}, ["redo", "prompts"]),
    ({"redo": {"status": ["failed"]}}, ["redo", "status"]),
]


@pytest.mark.parametrize(("context", "field"), WRONG)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_bad_field_is_refused_by_name(
    services: Services, batch_id: int, context: dict[str, Any], field: list[str], dry_run: bool
) -> None:
    before = stories.snapshot(services)
    answer = ask(services, batch_id, "restage", dry_run=dry_run, **context)
    assert (answer["success"], answer["code"], answer["status"]) == (False, "invalid", 422)
    named = answer["errors"]["context"]
    for each in field:
        named = named[each]
    assert isinstance(named, list)
    assert stories.snapshot(services) == before


def test_a_request_in_line_is_checked_against_the_batch_when_its_turn_comes(
    services: Services, batch_id: int, hold_row: HoldRow
) -> None:
    if services.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no queue of requests")
    with hold_row(batch_id):
        waiting = [
            ask(services, batch_id, "restage", redo={"prompts": ["p9\0"]})["request_id"],
            ask(services, batch_id, "restage", redo={"prompts": ["p1"]})["request_id"],
        ]
    services.sweeper.sweep()
    refused, applied = (services.reads.requests.show(each) for each in waiting)
    assert (refused["status"], applied["status"]) == ("REFUSED", "APPLIED")
    assert "has the unknown name 'p9\\x00'; the known names are: p0, p1" in refused["reason"]
    read_all(services, batch_id)
    assert answer_all(services, batch_id) == {each for each in EVERY if each[1] == "p1"}


def test_other_actions_take_no_such_fields(services: Services) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    assert act(services, batch_id, "pause", redo="whatever")["new_state"] == "PAUSED"


@pytest.mark.parametrize("status", [None, *TaskStatus])
def test_the_request_is_kept_in_the_audit_trail(services: Services, batch_id: int, status: str | None) -> None:
    context = {"redo": {"status": [status]}} if status else {"reuse": "none"}
    act(services, batch_id, "restage", **context)
    assert stories.audit(services, batch_id)[-1]["context"] == context


def test_an_answer_to_a_cut_document_is_reused_while_the_batch_cuts(services: Services) -> None:
    """Contract 5: with `on_too_long: fail` the document is asked about again, also after a run that reused it."""
    batch_id = create(services, on_too_long="truncate")
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    act(services, batch_id, "run")
    cut, whole = lease(services, batch_id)
    assert cut["payload"]["document_at"]
    complete(services, cut, {"text": "cut", "document_cut": {"characters": 9, "sent": 4}})
    complete(services, whole, {"text": "whole"})
    assert again(services, batch_id) == set()
    act(services, batch_id, "reset")
    edits.replace_input(services.batches, batch_id, {"options": {"on_too_long": "fail"}}, OPERATOR)
    assert again(services, batch_id, "stage") == {place(cut)}


def test_a_late_answer_to_a_cut_document_is_kept_as_such(services: Services) -> None:
    batch_id = create(services, documents=1, on_too_long="truncate", max_attempts=2)
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    act(services, batch_id, "run")
    late = stories.lease_one(services, batch_id)
    act(services, batch_id, "cancel")
    with pytest.raises(ReportRefused):
        complete(services, late, {"text": "cut", "document_cut": {"characters": 9, "sent": 4}})
    act(services, batch_id, "reset")
    assert again(services, batch_id, "stage") == set()
    act(services, batch_id, "reset")
    edits.replace_input(services.batches, batch_id, {"options": {"on_too_long": "fail"}}, OPERATOR)
    assert again(services, batch_id, "stage") == {place(late)}
