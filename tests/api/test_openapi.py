"""GET /api/openapi.json: valid, complete, and in agreement with contract 5."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from app.domain.transitions import ACTIONS, BatchState
from tests.api.calls import CALLS, Call
from tests.api.lives import PROBLEM_JSON
from tests.support.client import ApiClient

SUCCESS = {
    "POST /api/batches": {"201"},
    "POST /api/batches/{batch_id}/documents": {"201"},
    "POST /api/batches/{batch_id}/action": {"200", "202"},
    "DELETE /api/batches/{batch_id}": {"204"},
    "POST /api/tokens": {"201"},
    "DELETE /api/tokens/{token_id}": {"204"},
    "POST /api/webhooks": {"201"},
    "DELETE /api/webhooks/{webhook_id}": {"204"},
}
# Beside 401, 403, 503 everywhere, 400, 413, 415, 422 for a body, 404 for an id, 409 for a POST with a key.
REFUSALS = {
    "POST /api/batches/{batch_id}/action": {"412"},
    "POST /api/batches/{batch_id}/documents": {"412"},
    "PUT /api/batches/{batch_id}/documents/{document_id}": {"409", "412"},
    "PUT /api/batches/{batch_id}/input": {"409", "412"},
    "PATCH /api/batches/{batch_id}": {"412"},
    "DELETE /api/batches/{batch_id}": {"409", "412"},
    "DELETE /api/batches/{batch_id}/documents/{document_id}": {"412"},
}
CONTENT = {
    "GET /api/batches/{batch_id}/results": "application/x-ndjson",
    "GET /api/documents/{document_id}/content": "application/octet-stream",
    "GET /api/events": "text/event-stream",
}
JSON_LINES = {f"application/{name}" for name in ("jsonl", "x-ndjson", "x-jsonlines", "jsonlines")}
BODIES = {
    "POST /api/batches": {"application/json", *JSON_LINES},
    "POST /api/batches/{batch_id}/documents": {"application/json", "multipart/form-data"},
    "PUT /api/batches/{batch_id}/documents/{document_id}": {"application/json", "multipart/form-data"},
}


@pytest.fixture(scope="module")
def document(same_client: ApiClient) -> dict[str, Any]:
    answer = same_client.acting_as(None).get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.content_type.startswith("application/json")
    body: dict[str, Any] = answer.json
    return body


def operation(document: dict[str, Any], call: Call) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][call.path][call.method.lower()]
    return found


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a `$ref`, if the node is one."""
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [each for value in node.values() for each in references(value)]
    return [each for value in node for each in references(value)] if isinstance(node, list) else []


def test_valid_openapi_31(document: dict[str, Any]) -> None:
    """Contract 5: `GET /api/openapi.json` is a valid OpenAPI 3.1 document; every reference in it has a target."""
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document)] == []
    for reference in set(references(document)):
        assert resolved(document, {"$ref": reference}), reference


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_call_with_its_answers_and_refusals(document: dict[str, Any], call: Call) -> None:
    """Contract 5: each call is described, needs a token, and lists its answers and refusals."""
    described = operation(document, call)
    assert described["summary"]
    assert described["security"] == [{"token": []}]
    expected = {"401", "403", "503"} | SUCCESS.get(str(call), {"200"}) | REFUSALS.get(str(call), set())
    if call.body is not None:
        expected |= {"400", "413", "415", "422"}
    if "{" in call.path:
        expected.add("404")
    if call.method == "POST":
        expected.add("409")
    listed = set(described["responses"]) - {"default"}
    assert expected - listed == set(), "not documented"
    assert listed - expected <= {"422"}, "documented and never promised"


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_refusal_is_a_problem(document: dict[str, Any], call: Call) -> None:
    """Contract 5: errors are application/problem+json with type, title, status, detail and instance."""
    for status, named in operation(document, call)["responses"].items():
        response = resolved(document, named)
        assert response["description"]
        if status == "default" or status >= "400":
            assert list(response["content"]) == [PROBLEM_JSON], status
            schema = resolved(document, response["content"][PROBLEM_JSON]["schema"])
            assert {"type", "title", "status", "detail", "instance"} <= set(schema["properties"])
            assert schema.get("additionalProperties") is not False, "whatever helps stands beside them"
        elif status == "204":
            assert "content" not in response
        else:
            assert CONTENT.get(str(call), "application/json") in response["content"], status


@pytest.mark.parametrize("call", [call for call in CALLS if call.body is not None], ids=str)
def test_every_body_refuses_unknown_fields(document: dict[str, Any], call: Call) -> None:
    """Contract 5: unknown fields are refused; the document says so."""
    body = operation(document, call)["requestBody"]
    assert body["required"] is True
    assert set(body["content"]) == BODIES.get(str(call), {"application/json"})
    schema = resolved(document, body["content"]["application/json"]["schema"])
    assert schema["additionalProperties"] is False


def test_answers_may_have_further_members(document: dict[str, Any]) -> None:
    """Contract, top: answers may get further members; the document does not forbid them."""
    for call in CALLS:
        for status, named in operation(document, call)["responses"].items():
            for media in resolved(document, named).get("content", {}).values():
                schema = resolved(document, media["schema"])
                assert schema.get("additionalProperties") is not False, f"{call} {status}"


def test_headers_and_queries(document: dict[str, Any]) -> None:
    """Contract 4 and 5: Idempotency-Key on any POST, If-Match where a version is held, paging in every list."""
    for call in CALLS:
        listed = {(each["in"], each["name"]) for each in operation(document, call).get("parameters", [])}
        assert (("header", "Idempotency-Key") in listed) == (call.method == "POST"), call
        versioned = "412" in operation(document, call)["responses"]
        assert (("header", "If-Match") in listed) == versioned, call
    for path, queries in {
        "/api/batches": {"state", "name", "limit", "cursor"},
        "/api/batches/{batch_id}/audit": {"limit", "cursor"},
        "/api/batches/{batch_id}/documents": {"limit", "cursor"},
        "/api/batches/{batch_id}/tasks": {"status", "run", "limit", "cursor"},
        "/api/batches/{batch_id}/results": {"run"},
        "/api/batches/{batch_id}/report": {"run", "format", "limit", "cursor"},
        "/api/state-machine": {"format"},
        "/api/tokens": {"limit", "cursor"},
    }.items():
        listed = {each["name"] for each in document["paths"][path]["get"]["parameters"] if each["in"] == "query"}
        assert queries <= listed, path


def test_enums_come_from_the_table(document: dict[str, Any]) -> None:
    """Contract 2: API enums are derived from the table."""
    schemas = document["components"]["schemas"]
    assert schemas["Batch"]["properties"]["state"]["enum"] == list(BatchState)
    assert schemas["ActionBody"]["properties"]["action"]["enum"] == list(ACTIONS)


def test_the_batch_has_the_contracts_fields(document: dict[str, Any]) -> None:
    """Contract 5: a batch, a decision, a queued request, an audit row and a leased task, field by field."""
    schemas = document["components"]["schemas"]
    promised = {
        "Batch": "id name state version run failure progress allowed_actions created_at updated_at staged_at "
        "started_at finished_at",
        "Decision": "success batch_id action previous_state new_state version batch",
        "Queued": "success status request_id queue_position",
        "Request": "id batch_id action status reason version created_at finished_at",
        "Audit": "version trigger kind from_state to_state actor role reason context request_id at",
        "LeasedTask": "id batch_id run kind attempt lease_token lease_expires_at payload",
    }
    for name, fields in promised.items():
        assert set(fields.split()) <= set(schemas[name]["properties"]), name


def test_the_scheme_of_the_token(document: dict[str, Any]) -> None:
    """Contract 5: `Authorization: Bearer <token>`."""
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}


def test_the_name_of_a_batch_of_lines(document: dict[str, Any]) -> None:
    """Contract 5: `POST /api/batches?name=...`."""
    listed = {each["name"]: each for each in document["paths"]["/api/batches"]["post"]["parameters"]}
    assert listed["name"]["in"] == "query"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("If-Match", value)
            for value in ("", "*", "**", '"1"', '"123456789"', '"1234567890"', "1", 'W/"1"', '"x"', '"1')
        ),
        *(
            ("Idempotency-Key", value)
            for value in ("", "a b", "k" * 255, "k" * 256, "a\tb", "\xe9", "a\xa0b", "a\xadb")
        ),
    ],
)
def test_the_document_allows_a_header_that_the_service_accepts(
    same_client: ApiClient, document: dict[str, Any], name: str, value: str
) -> None:
    """Contract 4 and 5: a header that the document does not allow is 422, and any other is not."""
    parameters = document["paths"]["/api/batches/{batch_id}/action"]["post"]["parameters"]
    (schema,) = (each["schema"] for each in parameters if each["name"] == name)
    answer = same_client.post("/api/batches/999999/action", json={"action": "run"}, headers={name: value})
    assert answer.status_code in (404, 422)
    assert Draft202012Validator(schema).is_valid(value) == (answer.status_code == 404)
