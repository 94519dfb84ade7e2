"""The report of a run: its sums, quantiles, agreement and rows are those of the tasks, on both databases."""

import math
import random
from typing import Any

import pytest
from sqlalchemy import update

from app import db, portions
from app.db import transaction
from app.domain.money import nanos
from app.errors import NotFound
from app.models import Task
from app.services import Services
from app.services.input import edits
from app.services.input.ready_tasks import ReadyTasks
from app.services.run_report import agreement, cells, sums
from tests.services.stories import OPERATOR, act, complete, create, create_ready, document, fail, finish_all, lease
from tests.support.spending import spend

SCHEMA = {"type": "object", "properties": {"score": {"type": ["number", "null"]}}}
SUMMARY, RATING = "summary", "rating"


def use(services: Services, task_id: str, **used: int) -> None:
    spend(services.engine, task_id, **used)


def analyzing(services: Services, documents: int = 3, models: int = 2) -> int:
    """Create a batch of a prompt for text and one for JSON with a score, and take it to where it is answered."""
    body = {
        "name": "b",
        "documents": [document(f"{n}.txt", f"text {n}") for n in range(documents)],
        "prompts": [
            {"name": SUMMARY, "text": "s", "system": None, "schema": None},
            {"name": RATING, "text": "r", "system": None, "schema": SCHEMA},
        ],
        "models": [{"connection": "local", "model": f"m{n}", "params": {}} for n in range(models)],
        "options": {},
    }
    batch_id = int(edits.create_batch(services.batches, body, OPERATOR)["id"])
    act(services, batch_id, "stage")
    finish_all(services, batch_id)
    act(services, batch_id, "run")
    return batch_id


def leased_cells(services: Services, batch_id: int) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Lease every task of a batch; each by document, prompt and model."""
    leased = lease(services, batch_id)
    return {(t["payload"]["document"]["name"], t["payload"]["prompt"], t["payload"]["model"]): t for t in leased}


def answer(services: Services, batch_id: int, answers: dict[tuple[str, str, str], Any]) -> dict[Any, dict[str, Any]]:
    """Answer cells: a text, a JSON object, or None for a failure."""
    held = leased_cells(services, batch_id)
    for cell, said in answers.items():
        if said is None:
            fail(services, held[cell], retryable=False)
        else:
            complete(services, held[cell], {"text": said} if isinstance(said, str) else {"json": said, "text": "{}"})
    return held


def by_name(rows: list[dict[str, Any]], noun: str) -> dict[str, dict[str, Any]]:
    return {row[noun]: row for row in rows}


def test_the_sums_of_a_run(services: Services) -> None:
    batch_id = analyzing(services)
    held = answer(
        services,
        batch_id,
        {
            ("0.txt", SUMMARY, "m0"): "Yes.",
            ("0.txt", SUMMARY, "m1"): "no",
            ("1.txt", SUMMARY, "m0"): "One  two",
            ("1.txt", SUMMARY, "m1"): "one\nTWO ",
            ("2.txt", SUMMARY, "m0"): "alone",
            ("2.txt", SUMMARY, "m1"): None,
            ("0.txt", RATING, "m0"): {"score": 4},
            ("0.txt", RATING, "m1"): {"score": 4.0},
            ("1.txt", RATING, "m0"): {"score": 1},
            ("1.txt", RATING, "m1"): {"score": None},
        },
    )
    latencies = {("0.txt", SUMMARY, "m0"): 30, ("1.txt", SUMMARY, "m0"): 10, ("2.txt", SUMMARY, "m0"): 20}
    for cell, latency_ms in latencies.items():
        task_id = held[cell]["id"]
        use(services, task_id, latency_ms=latency_ms, input_tokens=100, output_tokens=7, cost_nanos=nanos(0.1))
    # How long a failure took is not how long an answer takes; what it used was used all the same.
    use(services, held["2.txt", SUMMARY, "m1"]["id"], latency_ms=9_000, input_tokens=50)
    report = services.run_report.first_page(batch_id)
    assert (report["batch_id"], report["run"]) == (batch_id, 1)
    models = by_name(report["models"], "model")
    assert models["m0"] == {
        "number": 1,
        "connection": "local",
        "model": "m0",
        "tasks": 6,
        "completed": 5,
        "failed": 0,
        "failure_rate": 0.0,
        "latency_ms": {"p50": 20, "p90": 30, "p99": 30},
        "input_tokens": 300,
        "output_tokens": 21,
        "cost": 0.3,
        "unpriced_calls": 5,  # that were reported without a usage
        "mean_score": 2.5,
    }
    other = models["m1"]
    assert [other[name] for name in ("tasks", "completed", "failed", "failure_rate")] == [6, 4, 1, 0.2]
    assert other["latency_ms"] == {"p50": None, "p90": None, "p99": None}
    assert (other["input_tokens"], other["cost"], other["mean_score"]) == (50, 0.0, 4.0)
    assert (other["unpriced_calls"], report["prompts"][0]["unpriced_calls"]) == (4, 5)
    prompts = by_name(report["prompts"], "prompt")
    assert [prompts[SUMMARY][name] for name in ("tasks", "completed", "failed", "mean_score")] == [6, 5, 1, None]
    assert [prompts[RATING][name] for name in ("tasks", "completed", "failed", "mean_score")] == [6, 4, 0, 3.0]
    shown = [(row["prompt"], row["compared"], row["agreed"], row["rate"]) for row in report["agreement"]]
    assert shown == [(SUMMARY, 2, 1, 0.5), (RATING, 2, 1, 0.5)]
    assert [model["model"] for model in report["agreement"][0]["models"]] == ["m0", "m1"]
    assert report["agreement_left_out"] == 0


def nearest_rank(values: list[int], p: int) -> int:
    return sorted(values)[math.ceil(p * len(values) / 100) - 1]


@pytest.mark.parametrize("amount", [1, 2, 3, 9, 10, 11, 99, 100, 101, 200])
def test_quantiles_are_those_of_the_nearest_rank(services: Services, amount: int) -> None:
    """One definition on both databases: this test runs on each."""
    batch_id = create_ready(services, tasks=amount)
    act(services, batch_id, "stage")
    act(services, batch_id, "run")
    leased = lease(services, batch_id)
    latencies = [random.Random(amount).randrange(1000) for _ in leased]
    for task in leased:
        complete(services, task)
    table = db.table_of(Task)
    with transaction(services.engine) as connection:
        for task, latency_ms in zip(leased, latencies, strict=True):
            connection.execute(update(table).where(table.c.id == int(task["id"])).values(latency_ms=latency_ms))
    (model,) = services.run_report.first_page(batch_id)["models"]
    assert model["latency_ms"] == {f"p{p}": nearest_rank(latencies, p) for p in (50, 90, 99)}


def test_a_row_for_each_document(services: Services) -> None:
    batch_id = analyzing(services, documents=2, models=1)
    long = "x" * (cells.LONGEST_ANSWER + 1)
    wide = {"score": 3, "why": long}
    held = answer(
        services,
        batch_id,
        {
            ("0.txt", SUMMARY, "m0"): "y" * cells.LONGEST_ANSWER,
            ("0.txt", RATING, "m0"): wide,
            ("1.txt", SUMMARY, "m0"): long,
            ("1.txt", RATING, "m0"): None,
        },
    )
    first, second = services.run_report.first_page(batch_id)["documents"]
    assert first["document"]["name"] == "0.txt"
    summary, rating = first["answers"]
    assert summary == {
        "task_id": held["0.txt", SUMMARY, "m0"]["id"],
        "part": None,
        "parts": None,
        "prompt": SUMMARY,
        "connection": "local",
        "model": "m0",
        "prompt_number": 1,
        "model_number": 1,
        "status": "COMPLETED",
        "answer": "y" * cells.LONGEST_ANSWER,
        "answer_is_cut": False,
        "truncated": False,
        "score": None,
        "reused_from": None,
        "cost": 0.0,
        "unpriced_calls": 1,
    }
    assert rating["answer_is_cut"]
    assert rating["answer"].startswith('{"score":3,"why":"xxx')
    assert len(rating["answer"]) == cells.LONGEST_ANSWER
    assert rating["score"] == 3
    cut, failed = second["answers"]
    assert (cut["answer"], cut["answer_is_cut"]) == (long[:-1], True)
    assert (failed["status"], failed["answer"], failed["score"]) == ("FAILED", None, None)


def pages_of(services: Services, batch_id: int, limit: int) -> list[list[dict[str, Any]]]:
    page = services.run_report.first_page(batch_id, limit=limit)
    pages = [page["documents"]]
    while page["next_cursor"] is not None:
        page = services.run_report.further_page(batch_id, None, limit, int(page["next_cursor"]))
        assert set(page) == {"batch_id", "run", "documents", "next_cursor"}
        pages.append(page["documents"])
    return pages


def test_rows_come_in_pages(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = analyzing(services, documents=7)
    assert [len(page) for page in pages_of(services, batch_id, 3)] == [3, 3, 1]
    monkeypatch.setattr(cells, "MOST_ANSWERS", 9)  # of four to a document
    pages = pages_of(services, batch_id, 50)
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    rows = [row for page in pages for row in page]
    assert [row["document"]["name"] for row in rows] == [f"{n}.txt" for n in range(7)]
    for row in rows:
        shown = [(cell["prompt"], cell["model"]) for cell in row["answers"]]
        assert shown == [(SUMMARY, "m0"), (SUMMARY, "m1"), (RATING, "m0"), (RATING, "m1")]


def test_more_cells_than_a_page_of_the_database(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page in memory ends in the middle of a document: nothing is lost, doubled, or compared across documents."""
    batch_id = analyzing(services, documents=5, models=3)
    rng = random.Random(1)
    said = {
        (f"{d}.txt", prompt, f"m{m}"): rng.choice(["a", "b"]) if prompt == SUMMARY else {"score": rng.randrange(2)}
        for d in range(5)
        for prompt in (SUMMARY, RATING)
        for m in range(3)
    }
    answer(services, batch_id, said)
    whole = services.run_report.first_page(batch_id)
    lines = list(services.run_report.lines(batch_id))
    for size in (1, 2, 7):
        report_size = _sized(monkeypatch, size)
        assert services.run_report.first_page(batch_id) == whole, report_size
        assert list(services.run_report.lines(batch_id)) == lines
    for row in whole["agreement"]:
        one, other = (model["model"] for model in row["models"])
        equal = sum(said[f"{d}.txt", row["prompt"], one] == said[f"{d}.txt", row["prompt"], other] for d in range(5))
        assert (row["compared"], row["agreed"]) == (5, equal)
    assert len(whole["agreement"]) == 6


def _sized(monkeypatch: pytest.MonkeyPatch, size: int) -> int:
    """Read pages of `size` rows from the database, in small portions."""
    monkeypatch.setattr(cells, "CELLS_PAGE", size)
    monkeypatch.setattr(cells, "_OF_DOCUMENTS", cells._OF_DOCUMENTS.limit(size))
    monkeypatch.setattr(agreement, "PAGE", size)
    monkeypatch.setattr(agreement, "_SIZES", agreement._SIZES.limit(size))
    monkeypatch.setattr(portions, "MOST_BYTES", 20 * size)
    return size


def test_pairs_have_a_limit(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = analyzing(services, documents=1, models=3)
    monkeypatch.setattr(agreement, "MOST_PAIRS", 4)
    report = services.run_report.first_page(batch_id)
    assert [row["prompt"] for row in report["agreement"]] == [SUMMARY] * 3 + [RATING]
    assert report["agreement_left_out"] == 2
    assert {(row["compared"], row["rate"]) for row in report["agreement"]} == {(0, None)}


def test_runs_are_reported_by_themselves(services: Services) -> None:
    batch_id = analyzing(services, documents=1, models=1)
    answer(services, batch_id, {("0.txt", SUMMARY, "m0"): "old", ("0.txt", RATING, "m0"): {"score": 1}})
    act(services, batch_id, "restage")
    report = services.run_report.first_page(batch_id)
    assert (report["run"], report["documents"], report["models"][0]["tasks"]) == (2, [], 0)
    assert report["models"][0]["failure_rate"] is None
    old = services.run_report.first_page(batch_id, run=1)
    assert (old["run"], old["models"][0]["completed"], old["prompts"][1]["mean_score"]) == (1, 2, 1.0)
    assert [cell["answer"] for cell in old["documents"][0]["answers"]] == ["old", {"score": 1}]
    assert list(services.run_report.lines(batch_id)) == []


def test_before_the_first_run(services: Services) -> None:
    report = services.run_report.first_page(create(services))
    assert report["run"] == 0
    assert (report["models"][0]["tasks"], report["prompts"][0]["cost"]) == (0, 0.0)
    assert (report["agreement"], report["documents"], report["next_cursor"]) == ([], [], None)
    bare = edits.create_batch(
        services.batches, {"name": "b", "documents": [], "prompts": [], "models": [], "options": {}}, OPERATOR
    )
    assert services.run_report.first_page(bare["id"])["models"] == []


def test_no_such_batch(services: Services) -> None:
    for read in (services.run_report.first_page, services.run_report.lines):
        with pytest.raises(NotFound):
            read(999)
    with pytest.raises(NotFound):
        services.run_report.further_page(999, None, 50, 1)


def ready(services: Services, bodies: list[Any]) -> int:
    """Create a batch of ready-made lines with these bodies, and let it run."""
    lines = [{"custom_id": f"c{n}", "method": "POST", "url": "/v1/x", "body": body} for n, body in enumerate(bodies)]
    with ReadyTasks() as tasks:
        tasks.add(list(enumerate(lines, 1)))
        made = edits.create_batch_of_ready_tasks(services.batches, "r", tasks, OPERATOR)
    for action in ("stage", "run"):
        act(services, int(made["id"]), action)
    return int(made["id"])


def test_ready_made_tasks_are_reported_by_the_model_that_they_name(services: Services) -> None:
    named = [{"model": "a"}, {"model": "b"}, {"model": "a"}, {}, {"model": None}, {"model": "é" * 300}]
    batch_id = ready(services, named)
    first, second, *_ = lease(services, batch_id)
    complete(services, first, {"text": "good"})
    fail(services, second, retryable=False)
    use(services, first["id"], latency_ms=12, input_tokens=3, cost_nanos=nanos(0.5))
    report = services.run_report.first_page(batch_id, limit=4)
    models = {row["model"]: row for row in report["models"]}
    assert {model: row["tasks"] for model, row in models.items()} == {"a": 2, "b": 1, None: 2, "é" * 200: 1}
    assert {row["connection"] for row in models.values()} == {"jsonl"}
    assert {model: row["unpriced_calls"] for model, row in models.items()} == {"a": 1, "b": 0, None: 0, "é" * 200: 0}
    assert (models["a"]["latency_ms"]["p50"], models["a"]["cost"], models["b"]["failure_rate"]) == (12, 0.5, 1.0)
    assert (report["prompts"], report["agreement"]) == ([], [])
    row = report["documents"][0]
    assert (row["document"], row["custom_id"]) == (None, "c0")
    (cell,) = row["answers"]
    assert [cell[name] for name in ("prompt", "connection", "model", "answer")] == [None, "jsonl", "a", "good"]
    assert [len(page) for page in pages_of(services, batch_id, 4)] == [4, 2]
    ids = [row["custom_id"] for page in pages_of(services, batch_id, 4) for row in page]
    assert ids == [f"c{n}" for n in range(6)]


def test_lines_that_a_database_cannot_take_apart(services: Services) -> None:
    """PostgreSQL refuses to look into JSON that holds U+0000: the report comes all the same."""
    batch_id = ready(services, [{"model": "a", "x": "\0"}, {"model": "a\0b"}, {"model": {"deep": 1}}, {"model": 5}])
    for task in lease(services, batch_id):
        complete(services, task, {"text": "a\0b", "json": {"x": "\0"}})
    report = services.run_report.first_page(batch_id)
    assert sum(row["tasks"] for row in report["models"] if row["model"] is None) == 2
    assert [row["answers"][0]["answer"] for row in report["documents"]] == ["a\0b"] * 4
    assert [line["answer"] for line in services.run_report.lines(batch_id)] == ["a\0b"] * 4


def test_the_models_of_lines_have_a_limit(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "MOST_GROUPS", 2)
    batch_id = ready(services, [{"model": name} for name in "aabbbc"])
    assert [row["model"] for row in services.run_report.first_page(batch_id)["models"]] == ["b", "a"]


def test_a_line_has_all_of_a_task(services: Services) -> None:
    batch_id = analyzing(services, documents=1, models=1)
    held = answer(services, batch_id, {("0.txt", SUMMARY, "m0"): None, ("0.txt", RATING, "m0"): {"score": 2}})
    rating = held["0.txt", RATING, "m0"]["id"]
    use(services, rating, latency_ms=5, input_tokens=1, output_tokens=2, cost_nanos=1, reused_from=4711)
    failed, rated = services.run_report.lines(batch_id)
    assert (failed["error"], failed["answer"]) == ("timeout: no answer", None)
    assert rated == {
        "task_id": rating,
        "custom_id": None,
        "document": "0.txt",
        "part": None,
        "parts": None,
        "prompt": RATING,
        "connection": "local",
        "model": "m0",
        "status": "COMPLETED",
        "answer": {"score": 2},
        "truncated": False,
        "score": 2,
        "attempt": 1,
        "input_tokens": 1,
        "output_tokens": 2,
        "cost": 1e-09,
        "unpriced_calls": 1,
        "latency_ms": 5,
        "error": None,
        "reused_from": "4711",
    }
