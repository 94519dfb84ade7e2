"""docs/contract.md and the served OpenAPI document agree: calls, queries, roles, statuses, and every field."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app import create_app
from config import Config
from tests.api.calls import CALLS, PUBLIC
from tests.contract import page

ON_PAGE = {str(call): call for call in page.calls()}
ASSETS = {path for path in PUBLIC if path.startswith("/api/docs/")}  # of a page, not of the API
# The role that the page names for a call stands for those that may do more.
MAY = {
    frozenset({"viewer"}): {"viewer", "operator", "admin"},
    frozenset({"viewer", "worker"}): {"viewer", "operator", "worker", "admin"},
    frozenset({"operator"}): {"operator", "admin"},
    frozenset({"worker"}): {"worker", "admin"},
    frozenset({"admin"}): {"admin"},
}
BODIES = {
    "Body: create a batch": "POST /api/batches",
    "Body: rename a batch": "PATCH /api/batches/{batch_id}",
    "Body: replace the input": "PUT /api/batches/{batch_id}/input",
    "Body: add documents": "POST /api/batches/{batch_id}/documents",
    "Body: replace a document": "PUT /api/batches/{batch_id}/documents/{document_id}",
    "Body: request an action": "POST /api/batches/{batch_id}/action",
    "Body: lease": "POST /api/tasks/lease",
    "Body: heartbeat": "POST /api/tasks/heartbeat",
    "Body: release": "POST /api/tasks/release",
    "Body: complete": "POST /api/tasks/{task_id}/complete",
    "Body: fail": "POST /api/tasks/{task_id}/fail",
    "Body: report": "POST /api/tasks/report",
    "Body: report connections": "POST /api/connections",
    "Body: create a token": "POST /api/tokens",
    "Body: create a webhook": "POST /api/webhooks",
    "Body: change a webhook": "PATCH /api/webhooks/{webhook_id}",
    "Body: replay messages": "POST /api/webhooks/{webhook_id}/replay",
}
ANSWERS = {
    "A batch": "GET /api/batches/{batch_id}",
    "A document": "GET /api/batches/{batch_id}/documents",
    "An audit row": "GET /api/batches/{batch_id}/audit",
    "A decision": "POST /api/batches/{batch_id}/action",
    "A request": "GET /api/requests/{request_id}",
    "A task in a list": "GET /api/batches/{batch_id}/tasks",
    "A leased task": "POST /api/tasks/lease",
    "A connection": "GET /api/connections",
    "A worker": "GET /api/workers",
    "A token": "POST /api/tokens",
    "A webhook": "POST /api/webhooks",
    "A delivery": "GET /api/webhooks/{webhook_id}/deliveries",
    "A run report": "GET /api/batches/{batch_id}/report",
}
BESIDE_ROWS = {"POST /api/tasks/lease": {"closed", "probe"}}

OPEN = frozenset({"input"})  # its fields are tested by answers
BESIDE = {"A batch": {f"input.{name}" for name in ("documents", "prompts", "models", "ready_tasks", "file_id")}}
ELSEWHERE = {"A batch": {"duplicates"}}  # only of the calls that add documents, and described with them


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The served document: it needs no token and no table."""
    url = f"sqlite:///{tmp_path_factory.mktemp('document') / 'empty.db'}"
    body: dict[str, Any] = create_app(Config(database_url=url)).test_client().get("/api/openapi.json").json
    return body


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a `$ref`, or the one of `anyOf` that is no null."""
    while "$ref" in node or "anyOf" in node:
        if "anyOf" in node:
            node = next(each for each in node["anyOf"] if each.get("type") != "null")
            continue
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def operation(document: dict[str, Any], call: str) -> dict[str, Any]:
    method, path = call.split()
    found: dict[str, Any] = document["paths"][path][method.lower()]
    return found


def operations(document: dict[str, Any]) -> set[str]:
    paths: dict[str, dict[str, Any]] = document["paths"]
    return {f"{verb.upper()} {path}" for path, verbs in paths.items() for verb in verbs if verb != "parameters"}


def body_of(document: dict[str, Any], call: str) -> dict[str, Any]:
    content = operation(document, call)["requestBody"]["content"]
    return resolved(document, content["application/json"]["schema"])


def answer_of(document: dict[str, Any], call: str, status: str | None = None) -> dict[str, Any]:
    """Give the schema of what a call answers; of a list, that of one of its rows."""
    responses = operation(document, call)["responses"]
    success = resolved(document, responses[status or ON_PAGE[call].status])
    schema = resolved(document, success["content"]["application/json"]["schema"])
    beside = BESIDE_ROWS.get(call, {"next_cursor"})
    listed = [each for name, each in schema["properties"].items() if name not in beside]
    if len(listed) == 1 and listed[0].get("type") == "array":
        return resolved(document, listed[0]["items"])
    return schema


def names(document: dict[str, Any], schema: dict[str, Any], deep: frozenset[str], path: str = "") -> Iterator[str]:
    """Walk the names of a schema's fields; of those in `deep` the fields within them, too."""
    for name, each in schema["properties"].items():
        yield f"{path}{name}"
        if f"{path}{name}" in deep:
            yield from names(document, resolved(document, each), deep, f"{path}{name}.")


def test_every_call_of_the_document_is_on_the_page_and_the_reverse(document: dict[str, Any]) -> None:
    """Contract 5: the page has the calls of the OpenAPI document, and those that need no token."""
    public = {f"GET {path}" for path in set(PUBLIC) - ASSETS}
    assert set(ON_PAGE) == operations(document) | public
    assert len(ON_PAGE) == len(page.calls()), "a call stands twice on the page"


@pytest.mark.parametrize("call", sorted(map(str, CALLS)))
def test_queries_roles_and_status(document: dict[str, Any], call: str) -> None:
    """Contract 5: each call with its query parameters, who may make it, and its status when it is done."""
    shown, described = ON_PAGE[call], operation(document, call)
    queries = {each["name"] for each in described.get("parameters", []) if each.get("in") == "query"}
    assert shown.queries == queries
    assert shown.status in described["responses"]
    (tested,) = (each for each in CALLS if str(each) == call)
    assert MAY[shown.roles] == tested.roles


@pytest.mark.parametrize("heading", BODIES)
def test_the_fields_of_every_body(document: dict[str, Any], heading: str) -> None:
    """Contract 5: the fields that a body may have, and no other."""
    assert page.fields(heading) == set(body_of(document, BODIES[heading])["properties"])


def test_every_body_has_its_heading(document: dict[str, Any]) -> None:
    """Contract 5: no call takes a body that the page does not describe."""
    assert set(BODIES.values()) == {each for each in operations(document) if "requestBody" in operation(document, each)}


def test_the_options(document: dict[str, Any]) -> None:
    """Contract 5: the options of a batch."""
    options = resolved(document, body_of(document, "POST /api/batches")["properties"]["options"])
    assert page.fields("Options") == set(options["properties"])


@pytest.mark.parametrize("heading", ANSWERS)
def test_the_fields_of_every_answer(document: dict[str, Any], heading: str) -> None:
    """Contract 5: the fields of an answer, and no other; those that the document leaves open are tested by answers."""
    shown = page.fields(heading)
    deep = frozenset(name.rpartition(".")[0] for name in shown if "." in name)
    described = set(names(document, answer_of(document, ANSWERS[heading]), deep - OPEN))
    assert shown - BESIDE.get(heading, set()) == described - ELSEWHERE.get(heading, set())


def test_the_fields_of_a_queued_answer(document: dict[str, Any]) -> None:
    """Contract 5: the 202 of an action."""
    described = answer_of(document, "POST /api/batches/{batch_id}/action", "202")
    assert set(described["properties"]) == page.fields("A queued answer")


def test_the_fields_of_a_whole_task(document: dict[str, Any]) -> None:
    """Contract 5: a whole task has the fields of a task in a list, and more."""
    described = answer_of(document, "GET /api/tasks/{task_id}")
    assert set(described["properties"]) == page.fields("A task in a list") | page.fields("A whole task")


@pytest.mark.parametrize("call", ["tasks/heartbeat", "tasks/release", "tasks/report", "batches/{batch_id}/actions"])
def test_the_fields_of_short_rows(document: dict[str, Any], call: str) -> None:
    """Contract 5: the rows whose fields stand with the call itself."""
    name = f"{'GET' if call.endswith('actions') else 'POST'} /api/{call}"
    shown = ON_PAGE["POST /api/tasks/heartbeat" if call.endswith("release") else name].answer
    (listed,) = re.findall(r"\[\{([^}]+)\}\]", shown)
    assert set(answer_of(document, name)["properties"]) == set(re.findall(r'"(\w+)"', listed))
