"""What a model server answers, through the real service and a real worker: each answer, and what comes of it.

Each row of the tables is one task, of one of three batches for the whole module.
"""

from typing import Any

import orjson
import pytest

from tests.edges.answers_of_servers import FINE, LINES, PROMPT_ROWS, SCHEMA, SCHEMA_ROWS, Line, Row
from tests.edges.conftest import Edge
from tests.edges.scripted_server import Reply
from tests.support.batches import Batch
from tests.support.waiting import LIMIT_SECONDS

CREDITS = {
    "message": "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens.",
    "code": 402,
    "metadata": {"provider_name": None},
}
FLAGGED = {
    "message": 'm requires moderation on Azure. Your input was flagged for "violence".',
    "code": 403,
    "metadata": {"reasons": ["violence"], "flagged_input": "..."},
}
FORBIDDEN = {"message": "Country, region, or territory not supported", "code": "unsupported_country_region_territory"}
DENIED = {  # one request among others that are answered, and the code of its task
    "one of 402": (Reply({"error": CREDITS}, 402), "request_refused"),
    "one of 403": (Reply({"error": FORBIDDEN}, 403), "request_refused"),
    "one flagged": (Reply({"error": FLAGGED}, 403), "content_filter"),
}


@pytest.fixture(scope="module")
def answered(edge: Edge) -> Edge:
    """The edge, with what came of every row of the tables."""
    models = edge.models
    models.replies |= {row.name: row.replies for row in [*PROMPT_ROWS, *SCHEMA_ROWS]}
    models.replies |= {line.name: [Reply(line.body, headers={"x-request-id": f"req-{line.name}"})] for line in LINES}
    models.replies |= {name: [reply] for name, (reply, _) in DENIED.items()}
    models.replies |= {"fine": [FINE], "denied": [DENIED["one of 403"][0]]}
    prompts = edge.batch([row.name for row in PROMPT_ROWS])
    schemas = edge.batch([row.name for row in SCHEMA_ROWS], schema=SCHEMA)
    sent = [{"custom_id": each.name, "method": "POST", "url": each.url, "body": each.asked} for each in LINES]
    lines = edge.lines(sent)
    for batch in (prompts, schemas, lines):
        edge.keep(batch)
    answer = edge.http.get(f"{lines.url}/results?format=openai", timeout=LIMIT_SECONDS)
    edge.openai = {line["custom_id"]: line for line in map(orjson.loads, answer.content.splitlines())}
    edge.lines_url = lines.url
    return edge


def shown(row: dict[str, Any]) -> str:
    return orjson.dumps({name: row[name] for name in ("status", "error", "result", "usage")}).decode()


@pytest.mark.parametrize("row", [*PROMPT_ROWS, *SCHEMA_ROWS], ids=lambda row: row.name)
def test_an_answer_becomes_what_it_is(answered: Edge, row: Row) -> None:
    got = answered.rows[row.name]
    result, error = got["result"] or {}, got["error"] or {}
    assert (got["status"], error.get("code")) == (row.status, row.code), shown(got)
    assert (result.get("text"), result.get("json")) == (row.text, row.json)
    assert [words for words in row.words if words not in error["message"]] == []
    assert answered.models.calls[row.name] == row.calls
    assert {name: got["usage"][name] for name in row.usage} == pytest.approx(row.usage)


@pytest.mark.parametrize("row", [row for row in PROMPT_ROWS if row.status == "COMPLETED"], ids=lambda row: row.name)
def test_the_body_is_kept_beside_the_text(answered: Edge, row: Row) -> None:
    """Whole: where a reply was read leniently, all that could be read of it."""
    body = answered.rows[row.name]["result"]["body"]
    assert (body["id"], body["object"], len(body["choices"])) == ("chatcmpl-7f3a", "chat.completion", 1)
    if isinstance(row.replies[-1].body, dict):
        assert body == row.replies[-1].body


def test_cached_and_reasoning_tokens_are_in_the_usage(answered: Edge) -> None:
    usage = answered.rows["cached tokens"]["result"]["usage"]
    assert (usage["cached_tokens"], usage["reasoning_tokens"]) == (8, 16)


def test_numbers_that_json_does_not_have_are_null(answered: Edge) -> None:
    logprobs = answered.rows["nan"]["result"]["body"]["choices"][0]["logprobs"]
    assert logprobs == {"content": [{"logprob": None}, {"logprob": None}, {"logprob": None}]}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_is_answered_and_its_body_goes_out_unchanged(answered: Edge, line: Line) -> None:
    got = answered.rows[line.name]
    assert got["status"] == "COMPLETED", got["error"]
    response = {"status_code": 200, "request_id": f"req-{line.name}", "body": line.body}
    assert {name: got["result"].get(name) for name in response} == response
    assert answered.openai[line.name]["response"] == response
    assert answered.openai[line.name]["error"] is None
    assert (got["usage"]["input_tokens"], got["usage"]["output_tokens"]) == line.tokens
    assert answered.models.paths[line.name] == "/v1" + line.url.removeprefix("/v1")


@pytest.mark.parametrize("line", [line for line in LINES if line.text is not None], ids=lambda line: line.name)
def test_the_answer_of_a_line_is_shown_as_text(answered: Edge, line: Line) -> None:
    page = answered.http.get(f"{answered.lines_url}/report?limit=50", timeout=LIMIT_SECONDS).json()
    answers = {row["custom_id"]: row["answers"][0]["answer"] for row in page["documents"]}
    assert answers[line.name] == line.text


@pytest.mark.parametrize("name", DENIED)
def test_one_denied_request_fails_its_task_alone(answered: Edge, name: str) -> None:
    """Calls of the connection have succeeded before, so the key is good."""
    batch = answered.batch([name, "fine"])
    batch.reach("COMPLETED")
    rows = {row["document"]["name"]: row for row in batch.results()}
    assert rows["fine"]["status"] == "COMPLETED"
    got = rows[name]
    assert (got["status"], got["error"]["code"], got["attempt"]) == ("FAILED", DENIED[name][1], 1)


def test_a_flagged_first_request_fails_its_task_alone(answered: Edge) -> None:
    """No call of this connection has succeeded, but the server says that it is about the prompt."""
    batch = answered.batch(["one flagged", "fine"], connection="unknown")
    batch.reach("COMPLETED")
    assert [row["error"] and row["error"]["code"] for row in batch.results()] == ["content_filter", None]


def paused_by_connection(batch: Batch) -> dict[str, Any]:
    batch.reach("PAUSED")
    pause = batch.list_all("audit")[-1]
    assert (pause["trigger"], pause["actor"]) == ("pause", "system:connection")
    return pause


def test_a_connection_that_never_succeeded_and_is_denied_pauses_the_batch(answered: Edge) -> None:
    batch = answered.batch(["denied"], connection="fresh")
    pause = paused_by_connection(batch)
    assert "fresh answers 403: Country, region, or territory not supported" in pause["reason"]
    assert [(row["status"], row["attempt"]) for row in batch.list_all("tasks") if row["kind"] == "ANALYZE"] == [
        ("QUEUED", 0)
    ]


def test_several_denials_in_a_row_pause_the_batch(answered: Edge) -> None:
    """A key that was revoked in the middle of a run: no more than a few tasks are lost to it."""
    answered.batch(["fine"], connection="used").reach("COMPLETED")
    answered.models.replies |= {f"denied {number}": [DENIED["one of 403"][0]] for number in range(40)}
    batch = answered.batch([f"denied {number}" for number in range(40)], connection="used")
    assert "used answers 403" in paused_by_connection(batch)["reason"]
    codes = [row["error"]["code"] for row in batch.results() if row["error"]]
    assert codes.count("request_refused") == len(codes) < 10


@pytest.mark.parametrize(
    "url", ["/v1/images/generations", "/v1/chat/completion", "https://api.openai.com/v1/responses"]
)
def test_a_line_that_no_worker_answers_is_refused_at_import(answered: Edge, url: str) -> None:
    good = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "m"}}
    body = b"\n".join(map(orjson.dumps, [good, {**good, "custom_id": "b", "url": url}]))
    headers = {"Content-Type": "application/jsonl"}
    answer = answered.http.post(
        f"{answered.service.url}/api/batches?name=x", data=body, headers=headers, timeout=LIMIT_SECONDS
    )
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["line 2"]
    assert url in answer.json()["errors"]["line 2"][0]
    assert "/v1/chat/completions" in answer.json()["errors"]["line 2"][0]
