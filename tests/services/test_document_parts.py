"""Long documents are split: a task for each part, through staging, leases, reuse, forecasts and what is shown."""

from itertools import pairwise
from typing import Any

import pytest

from app.services import Services
from app.services.input import edits
from app.services.run_report.found_documents import Wanted
from tests.services.stories import (
    OPERATOR,
    act,
    ask,
    complete,
    create,
    document,
    fail,
    lease,
    lease_one,
    tasks_of,
    view,
)

SHORT = "A short letter."
PROMPT = {"system": None, "schema": None, "input": "text"}
PARAGRAPHS = [f"{number}. " + "All of this is in the contract. " * 17 for number in range(12)]
LONG = "\n\n".join(PARAGRAPHS)  # of about 6,600 characters


def made(services: Services, *texts: str, prompts: Any = ("{document}",), models: int = 1, **options: Any) -> int:
    body = {
        "name": "contracts",
        "documents": [document(f"{number}.txt", text) for number, text in enumerate(texts)],
        "prompts": [
            {**PROMPT, **(each if isinstance(each, dict) else {"name": each, "text": each})} for each in prompts
        ],
        "models": [{"connection": "local", "model": f"m{number}", "params": {}} for number in range(models)],
        "options": {"on_too_long": "split", "part_characters": 2_000, "overlap_characters": 100, **options},
    }
    return int(edits.create_batch(services.batches, body, OPERATOR)["id"])


def read_all(services: Services, batch_id: int) -> None:
    for leased in lease(services, batch_id):
        complete(services, leased, {"text": leased["payload"]["text"], "metadata": {"title": "T"}})


def sent(leased: dict[str, Any]) -> str:
    return str(leased["payload"]["messages"][-1]["content"])


def staged(services: Services, *texts: str, **more: Any) -> int:
    batch_id = made(services, *texts, **more)
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    assert view(services, batch_id)["state"] == "STAGED"
    return batch_id


def answered(services: Services, batch_id: int) -> list[dict[str, Any]]:
    """Answer every task, with the number of its part; return the leased tasks."""
    act(services, batch_id, "run")
    called = lease(services, batch_id)
    for each in called:
        part = each["payload"]["document"].get("part")
        complete(services, each, {"text": f"answer {part}", "usage": {"input_tokens": 10, "cost": 0.5}})
    return called


def test_each_part_has_a_task_and_all_of_the_text_is_sent(services: Services) -> None:
    batch_id = staged(services, LONG, SHORT)
    assert view(services, batch_id)["progress"]["analysis"]["total"] == 5
    called = answered(services, batch_id)
    documents = [each["payload"]["document"] for each in called]
    assert [(each["name"], each.get("part"), each.get("parts")) for each in documents] == [
        ("0.txt", 1, 4), ("0.txt", 2, 4), ("0.txt", 3, 4), ("0.txt", 4, 4), ("1.txt", None, None),
    ]  # fmt: skip
    texts = [sent(each) for each in called]
    assert texts[-1] == SHORT
    assert all(len(each) <= 2_000 for each in texts)
    for paragraph in PARAGRAPHS:
        assert any(paragraph.strip() in each for each in texts)
    assert view(services, batch_id)["state"] == "COMPLETED"


def test_every_model_and_prompt_gets_the_same_parts(services: Services) -> None:
    prompts = ("{document}", "Part {metadata.part} of {metadata.parts} of {metadata.title}: {document}")
    batch_id = staged(services, LONG, prompts=prompts, models=2)
    called = answered(services, batch_id)
    assert len(called) == 4 * 2 * 2
    by_model = {
        model: [sent(each) for each in called if each["payload"]["model"] == model] for model in ("m0", "m1")
    }  # fmt: skip
    assert by_model["m0"] == by_model["m1"]
    assert [each[:16] for each in by_model["m0"] if each.startswith("Part")] == [
        f"Part {number} of 4 of T" for number in range(1, 5)
    ]


def test_prompts_that_get_pictures_get_the_whole_document(services: Services) -> None:
    pictures = {"name": "see", "text": "See.", "input": "images"}
    batch_id = staged(services, LONG, prompts=("{document}", pictures))
    shown = [(task["prompt"], task["part"]) for task in tasks_of(services, batch_id) if task["kind"] == "ANALYZE"]
    assert sorted(shown, key=str) == [("see", None), *(("{document}", number) for number in range(1, 5))]


def test_what_is_shown_of_parts(services: Services) -> None:
    batch_id = staged(services, LONG, models=2)
    answered(services, batch_id)
    lines = list(services.reads.results.lines(batch_id))
    assert [(line["part"], line["parts"], line["result"]["text"]) for line in lines[:4]] == [
        (number, 4, f"answer {number}") for number in range(1, 5)
    ]
    report = services.run_report.first_page(batch_id)
    (row,) = report["documents"]
    assert [(each["model"], each["part"]) for each in row["answers"]] == [
        (model, part) for model in ("m0", "m1") for part in range(1, 5)
    ]
    (pair,) = report["agreement"]
    assert (pair["compared"], pair["agreed"]) == (4, 4)
    rows = list(services.run_report.lines(batch_id))
    assert {(each["part"], each["parts"]) for each in rows} == {(number, 4) for number in range(1, 5)}
    assert len({each["custom_id"] for each in services.reads.results.lines(batch_id, form="openai")}) == 8
    page = services.run_report.matrix(batch_id, None, 20, None, Wanted(held_model=1), 6).page
    assert [[*each] for each in page.rows[0].cells.values()] == [[1, 2, 3, 4]] * 2
    assert not page.rows[0].differs
    one = services.run_report.document(batch_id, None, page.rows[0].document["id"], None, 3)
    assert (one["part"], one["parts"]) == (3, 4)
    assert [each["answer"] for each in one["answers"]] == ["answer 3", "answer 3"]


def test_models_are_compared_part_by_part(services: Services) -> None:
    batch_id = staged(services, LONG, models=2)
    act(services, batch_id, "run")
    for each in lease(services, batch_id):
        about, model = each["payload"]["document"], each["payload"]["model"]
        complete(services, each, {"text": f"part {about['part']}" + (model if about["part"] == 2 else "")})
    (pair,) = services.run_report.first_page(batch_id)["agreement"]
    assert (pair["compared"], pair["agreed"]) == (4, 3)
    page = services.run_report.matrix(batch_id, None, 20, None, Wanted(held_model=1), 6).page
    assert page.rows[0].differs


def test_only_parts_that_have_changed_are_asked_about_again(services: Services) -> None:
    batch_id = staged(services, LONG, SHORT)
    answered(services, batch_id)
    act(services, batch_id, "restage")
    read_all(services, batch_id)
    assert answered(services, batch_id) == []
    act(services, batch_id, "reset")
    first, *_ = services.reads.documents.page(batch_id)[0]
    edits.replace_document(services.batches, batch_id, first["id"], document("0.txt", f"{LONG}\n\nThe end."), OPERATOR)
    forecast = ask(services, batch_id, "stage", dry_run=True)["effect"]
    assert forecast["calls"] == 4  # a document that was never staged as it is now counts in full
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    (called,) = answered(services, batch_id)
    assert called["payload"]["document"]["part"] == 4


def test_a_part_is_tried_again_and_done_again_by_itself(services: Services) -> None:
    batch_id = staged(services, LONG, max_attempts=2)
    act(services, batch_id, "run")
    one, *others = lease(services, batch_id)
    fail(services, one, retryable=False)
    for each in others:
        complete(services, each)
    assert (
        view(services, batch_id)["progress"]["analysis"] | {"failed": 1, "completed": 3}
        == view(services, batch_id)["progress"]["analysis"]
    )
    context = {"redo": {"status": ["FAILED"]}}
    assert ask(services, batch_id, "restage", dry_run=True, **context)["effect"]["calls"] == 1
    act(services, batch_id, "restage", **context)
    read_all(services, batch_id)
    act(services, batch_id, "run")
    again = lease_one(services, batch_id)
    assert again["payload"]["document"]["part"] == one["payload"]["document"]["part"] == 1
    complete(services, again)
    assert view(services, batch_id)["state"] == "COMPLETED"


def test_the_forecast_counts_parts_before_anything_is_staged(services: Services) -> None:
    batch_id = made(services, LONG, SHORT, models=2)
    assert ask(services, batch_id, "stage", dry_run=True)["effect"]["calls"] == (4 + 1) * 2
    pictures = {"name": "see", "text": "See.", "input": "images"}
    batch_id = made(services, LONG, prompts=("{document}", pictures))
    assert ask(services, batch_id, "stage", dry_run=True)["effect"]["calls"] == 4 + 1


def test_parts_stay_as_they_were_made_when_the_option_changes(services: Services) -> None:
    batch_id = staged(services, LONG)
    answered(services, batch_id)
    tasks = [task["id"] for task in tasks_of(services, batch_id) if task["kind"] == "ANALYZE"]
    before = [services.reads.tasks.with_payload(batch_id, each)["payload"]["messages"] for each in tasks]
    act(services, batch_id, "reset")
    edits.replace_input(services.batches, batch_id, {"options": {"part_characters": 3_000}}, OPERATOR)
    assert [services.reads.tasks.with_payload(batch_id, each)["payload"]["messages"] for each in tasks] == before
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    assert [each["payload"]["document"]["parts"] for each in answered(services, batch_id)] == [3] * 3


@pytest.mark.parametrize("on_unreadable", ["fail", "skip"])
def test_a_document_of_too_many_parts_cannot_be_read(services: Services, on_unreadable: str) -> None:
    text = "\n\n".join(["word " * 390] * 101)
    texts = [text] if on_unreadable == "fail" else [text, SHORT]
    batch_id = made(services, *texts, on_unreadable=on_unreadable, overlap_characters=0)
    act(services, batch_id, "stage")
    read_all(services, batch_id)
    shown = view(services, batch_id)
    if on_unreadable == "skip":
        assert (shown["state"], shown["progress"]["staging"]["skipped"]) == ("STAGED", 1)
        return
    assert shown["state"] == "FAILED"
    assert "'0.txt' has" in shown["failure"]["message"]
    assert (
        "101 parts, and a document of this batch may have 100. Raise its part_characters."
        in shown["failure"]["message"]
    )


def test_a_worker_cannot_make_parts(services: Services) -> None:
    """What a stage handler of one's own calls `parts` means nothing."""
    batch_id = create(services, documents=1)
    act(services, batch_id, "stage")
    complete(services, lease_one(services, batch_id), {"text": "abc", "parts": [[0, 1], [1, 2]]})
    act(services, batch_id, "run")
    assert sent(lease_one(services, batch_id)).endswith("abc")


def test_parts_overlap(services: Services) -> None:
    batch_id = staged(services, LONG)
    (task,) = [task for task in tasks_of(services, batch_id) if task["kind"] == "STAGE"]
    parts = services.reads.tasks.show(task["id"])["result"]["parts"]
    assert len(parts) == 4
    assert all(0 <= before[1] - after[0] <= 100 for before, after in pairwise(parts))
