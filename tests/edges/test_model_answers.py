"""What a model server answers, through the real service and a real worker: each answer, and what comes of it.

One service, one worker and four batches for the whole module; each row of the tables is one task.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from tests.edges.answers_of_servers import FINE, LINES, PROMPT_ROWS, SCHEMA, SCHEMA_ROWS, Line, Row
from tests.edges.scripted_server import Reply, ScriptedServer
from tests.support import databases
from tests.support.batches import Batch
from tests.support.server import ROOT, LiveServer, running_server
from tests.worker.conftest import wait_for

SECONDS = 60.0
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
CONNECTIONS = ("lab", "fresh", "used", "unknown")
DENIED = {  # one request among others that are answered, and the code of its task
    "one of 402": (Reply({"error": CREDITS}, 402), "request_refused"),
    "one of 403": (Reply({"error": FORBIDDEN}, 403), "request_refused"),
    "one flagged": (Reply({"error": FLAGGED}, 403), "content_filter"),
}


@dataclass
class Edge:
    """The service, the model server, and a session of an admin."""

    service: LiveServer
    models: ScriptedServer
    http: requests.Session
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)  # the results, by the name of their row
    openai: dict[str, dict[str, Any]] = field(default_factory=dict)  # the output file of the lines, by custom_id

    def batch(self, names: list[str], connection: str = "lab", **prompt: Any) -> Batch:
        """Stage and run a batch of one prompt; each name is a document."""
        documents = [{"name": name, "text": f"<<{name}>>"} for name in names]
        prompts = [{"name": "p", "text": "{document}", **prompt}]
        models = [{"connection": connection, "model": "m"}]
        batch = Batch(self.service, self.http, documents=documents, prompts=prompts, models=models)
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        return batch

    def keep(self, batch: Batch) -> None:
        batch.reach("COMPLETED")
        for row in batch.results():
            self.rows[row["custom_id"] or row["document"]["name"]] = row


@contextmanager
def worker(service: LiveServer, models: ScriptedServer, folder: Path) -> Iterator[None]:
    prices = "input = 1, output = 2, cached_input = 0.1"
    tables = [f'[{name}]\nbase_url = "{models.url}"\nmodels = {{ "*" = {{ {prices} }} }}\n' for name in CONNECTIONS]
    (folder / "connections.toml").write_text('jsonl = "lab"\n' + "".join(tables))
    settings = {"INTERLOCK_URL": service.url, "INTERLOCK_TOKEN": service.tokens["worker"]}
    command = [sys.executable, "-m", "app.worker", "--connections", str(folder / "connections.toml")]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def edge(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("model-answers")
    models = ScriptedServer()
    models.replies = {row.name: row.replies for row in [*PROMPT_ROWS, *SCHEMA_ROWS]}
    models.replies |= {line.name: [Reply(line.body, headers={"x-request-id": f"req-{line.name}"})] for line in LINES}
    models.replies |= {name: [reply] for name, (reply, _) in DENIED.items()}
    models.replies |= {"fine": [FINE], "denied": [DENIED["one of 403"][0]]}
    database_url = databases.sqlite_database(sqlite_template, folder)
    with running_server(database_url) as service, service.session() as http, worker(service, models, folder):
        made = Edge(service, models, http)
        prompts = made.batch([row.name for row in PROMPT_ROWS])
        schemas = made.batch([row.name for row in SCHEMA_ROWS], schema=SCHEMA)
        sent = [{"custom_id": each.name, "method": "POST", "url": each.url, "body": each.asked} for each in LINES]
        lines = Batch(service, http, lines=b"\n".join(map(orjson.dumps, sent)))
        lines.ask("stage")
        lines.reach("STAGED")
        lines.ask("run")
        for batch in (prompts, schemas, lines):
            made.keep(batch)
        answer = http.get(f"{lines.url}/results?format=openai", timeout=SECONDS)
        made.openai = {line["custom_id"]: line for line in map(orjson.loads, answer.content.splitlines())}
        yield made
    models.stop()


def shown(row: dict[str, Any]) -> str:
    return orjson.dumps({name: row[name] for name in ("status", "error", "result", "usage")}).decode()


@pytest.mark.parametrize("row", [*PROMPT_ROWS, *SCHEMA_ROWS], ids=lambda row: row.name)
def test_an_answer_becomes_what_it_is(edge: Edge, row: Row) -> None:
    got = edge.rows[row.name]
    result, error = got["result"] or {}, got["error"] or {}
    assert (got["status"], error.get("code")) == (row.status, row.code), shown(got)
    assert (result.get("text"), result.get("json")) == (row.text, row.json)
    assert [words for words in row.words if words not in error["message"]] == []
    assert edge.models.calls[row.name] == row.calls
    assert {name: got["usage"][name] for name in row.usage} == pytest.approx(row.usage)


@pytest.mark.parametrize("row", [row for row in PROMPT_ROWS if row.status == "COMPLETED"], ids=lambda row: row.name)
def test_the_body_is_kept_beside_the_text(edge: Edge, row: Row) -> None:
    """Whole: where a reply was read leniently, all that could be read of it."""
    body = edge.rows[row.name]["result"]["body"]
    assert (body["id"], body["object"], len(body["choices"])) == ("chatcmpl-7f3a", "chat.completion", 1)
    if isinstance(row.replies[-1].body, dict):
        assert body == row.replies[-1].body


def test_cached_and_reasoning_tokens_are_in_the_usage(edge: Edge) -> None:
    usage = edge.rows["cached tokens"]["result"]["usage"]
    assert (usage["cached_tokens"], usage["reasoning_tokens"]) == (8, 16)


def test_numbers_that_json_does_not_have_are_null(edge: Edge) -> None:
    logprobs = edge.rows["nan"]["result"]["body"]["choices"][0]["logprobs"]
    assert logprobs == {"content": [{"logprob": None}, {"logprob": None}, {"logprob": None}]}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_is_answered_and_its_body_goes_out_unchanged(edge: Edge, line: Line) -> None:
    got = edge.rows[line.name]
    assert got["status"] == "COMPLETED", got["error"]
    response = {"status_code": 200, "request_id": f"req-{line.name}", "body": line.body}
    assert {name: got["result"].get(name) for name in response} == response
    assert edge.openai[line.name]["response"] == response
    assert edge.openai[line.name]["error"] is None
    assert (got["usage"]["input_tokens"], got["usage"]["output_tokens"]) == line.tokens
    assert edge.models.paths[line.name] == "/v1" + line.url.removeprefix("/v1")


@pytest.mark.parametrize("line", [line for line in LINES if line.text is not None], ids=lambda line: line.name)
def test_the_answer_of_a_line_is_shown_as_text(edge: Edge, line: Line) -> None:
    page = edge.http.get(f"{edge.service.url}/api/batches/3/report?limit=50", timeout=SECONDS).json()
    answers = {row["custom_id"]: row["answers"][0]["answer"] for row in page["documents"]}
    assert answers[line.name] == line.text


@pytest.mark.parametrize("name", DENIED)
def test_one_denied_request_fails_its_task_alone(edge: Edge, name: str) -> None:
    """Calls of the connection have succeeded before, so the key is good."""
    batch = edge.batch([name, "fine"])
    batch.reach("COMPLETED")
    rows = {row["document"]["name"]: row for row in batch.results()}
    assert rows["fine"]["status"] == "COMPLETED"
    got = rows[name]
    assert (got["status"], got["error"]["code"], got["attempt"]) == ("FAILED", DENIED[name][1], 1)


def test_a_flagged_first_request_fails_its_task_alone(edge: Edge) -> None:
    """No call of this connection has succeeded, but the server says that it is about the prompt."""
    batch = edge.batch(["one flagged", "fine"], connection="unknown")
    batch.reach("COMPLETED")
    assert [row["error"] and row["error"]["code"] for row in batch.results()] == ["content_filter", None]


def test_a_connection_that_never_succeeded_and_is_denied_fails_the_batch(edge: Edge) -> None:
    batch = edge.batch(["denied"], connection="fresh")
    wait_for(lambda: batch.show()["state"] == "FAILED")
    assert batch.show()["failure"]["code"] == "critical_error"
    assert [row["error"]["code"] for row in batch.results()] == ["no_access"]


def test_several_denials_in_a_row_fail_the_batch(edge: Edge) -> None:
    """A key that was revoked in the middle of a run: no more than a few tasks are lost to it."""
    edge.batch(["fine"], connection="used").reach("COMPLETED")
    edge.models.replies |= {f"denied {number}": [DENIED["one of 403"][0]] for number in range(40)}
    batch = edge.batch([f"denied {number}" for number in range(40)], connection="used")
    wait_for(lambda: batch.show()["state"] == "FAILED")
    assert batch.show()["failure"]["code"] == "critical_error"
    codes = [row["error"]["code"] for row in batch.results()]
    assert codes.count("request_refused") < 10
    assert "no_access" in codes


@pytest.mark.parametrize(
    "url", ["/v1/images/generations", "/v1/chat/completion", "https://api.openai.com/v1/responses"]
)
def test_a_line_that_no_worker_answers_is_refused_at_import(edge: Edge, url: str) -> None:
    good = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "m"}}
    body = b"\n".join(map(orjson.dumps, [good, {**good, "custom_id": "b", "url": url}]))
    headers = {"Content-Type": "application/jsonl"}
    answer = edge.http.post(f"{edge.service.url}/api/batches?name=x", data=body, headers=headers, timeout=SECONDS)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["line 2"]
    assert url in answer.json()["errors"]["line 2"][0]
    assert "/v1/chat/completions" in answer.json()["errors"]["line 2"][0]
