"""POST /api/batches: the system text and the JSON Schema of a prompt, and what workers are given of them."""

from typing import Any

import orjson
import pytest

from app.domain.answer.answer_schemas import MOST_SCHEMA_BYTES, MOST_SCHEMAS_BYTES
from tests.api.lives import MODEL, PROMPT, act, answered, complete, create, finish_all, lease, refused
from tests.support.client import ApiClient

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 5}, "parts": {"$ref": "#/$defs/part"}},
    "required": ["score"],
    "$defs": {"part": {"$anchor": "p", "type": "array", "items": {"$ref": "#p"}}},
}


def with_schema(client: ApiClient, *schemas: Any) -> Any:
    prompts = [{**PROMPT, "name": f"p{number}", "schema": schema} for number, schema in enumerate(schemas)]
    return client.post("/api/batches", json={"name": "b", "prompts": prompts})


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


def sized(size: int) -> dict[str, Any]:
    """A schema of that many bytes."""
    return {"description": "x" * (size - len(b'{"description":""}'))}


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        {},
        None,
        nested(20),
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}, "$ref": "#/definitions/a"},
        {"$id": "http://a.example/s", "$defs": {"b": {"$id": "b", "type": "null"}}, "items": {"$ref": "b"}},
        {"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "nowhere"}},
        sized(MOST_SCHEMA_BYTES),
    ],
    ids=range(8),
)
def test_a_valid_schema_is_accepted(same_client: ApiClient, schema: Any) -> None:
    assert answered(with_schema(same_client, schema), 201)["state"] == "SAVED"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "nonsense"}, "is not a JSON Schema: at $.type"),
        ({"properties": {"a": {"minimum": "1"}}}, "at $.properties.a.minimum"),
        ({"pattern": "("}, "'(' is not a 'regex'"),
        ({"pattern": "a{99999999999999999999}"}, "repetition number is too large"),
        ({"$ref": "#/$defs/nothing"}, "refers to #/$defs/nothing, which it does not contain"),
        ({"$ref": "#nothing"}, "refers to #nothing"),
        ({"items": {"$ref": "https://schemas.example/a.json"}}, "refers to https://schemas.example/a.json"),
        ({"items": {"$ref": "http://["}}, "refers to http://["),
        ({"$id": "http://[", "items": {"$id": "a", "$ref": "b"}}, "is not a usable JSON Schema: Invalid IPv6 URL"),
        ({"$schema": "https://schemas.example/mine"}, "$schema is not a known version"),
        ({"$schema": 5}, "$schema is not a known version"),
        (nested(120), "is not a usable JSON Schema: maximum recursion"),
        (sized(MOST_SCHEMA_BYTES + 1), f"larger than {MOST_SCHEMA_BYTES} bytes"),
        ({"const": "x" * 1000, "type": "y" * 1000}, " ..."),
    ],
    ids=range(14),
)
def test_422_an_invalid_schema(same_client: ApiClient, schema: Any, message: str) -> None:
    """The field is named: the second prompt's schema."""
    body = refused(with_schema(same_client, SCHEMA, schema), 422)
    (answered,) = body["errors"]["prompts"]["1"]["schema"]
    assert message in answered
    assert len(answered) < 500


@pytest.mark.parametrize("schema", [[], "x", 1, True])
def test_422_a_schema_of_another_type(same_client: ApiClient, schema: Any) -> None:
    assert "schema" in refused(with_schema(same_client, schema), 422)["errors"]["prompts"]["0"]


def test_422_many_large_schemas(same_client: ApiClient) -> None:
    """Checking a schema is quick, and so is checking all schemas of a batch together."""
    schema = sized(MOST_SCHEMA_BYTES)
    few = MOST_SCHEMAS_BYTES // MOST_SCHEMA_BYTES
    answered(with_schema(same_client, *[schema] * few), 201)
    body = refused(with_schema(same_client, *[schema] * few, {"type": "object"}), 422)
    assert "together" in body["errors"]["prompts"][0]


@pytest.mark.parametrize("system", ["", "a\0b", 5, ["x"]])
def test_422_an_invalid_system_text(same_client: ApiClient, system: Any) -> None:
    body = {"name": "b", "prompts": [{**PROMPT, "system": system}]}
    assert "system" in refused(same_client.post("/api/batches", json=body), 422)["errors"]["prompts"]["0"]


def test_what_a_worker_is_given(client: ApiClient) -> None:
    """Contract 5: `messages` with the prompt rendered, the system message first; `schema` where there is one."""
    prompts = [
        {
            "name": "rate",
            "system": 'You read {metadata.kind}s. Answer {"score": 1} and {{name}}.',
            "text": "{name} by {metadata.author}{metadata.nothing}: {document}",
            "schema": SCHEMA,
        },
        PROMPT,
    ]
    documents = [{"name": "0.txt", "text": "text"}]
    body = orjson.dumps({"name": "b", "documents": documents, "prompts": prompts, "models": [MODEL]})
    batch = answered(client.post("/api/batches", data=body, content_type="application/json"), 201)
    act(client, batch["id"], "stage")
    (staging,) = lease(client, batch["id"])
    complete(client, staging, {"text": "TEXT", "metadata": {"kind": "letter", "author": "Ann"}})
    act(client, batch["id"], "run")
    rate, summary = (task["payload"] for task in lease(client, batch["id"]))
    assert rate["messages"] == [
        {"role": "system", "content": 'You read letters. Answer {"score": 1} and {name}.'},
        {"role": "user", "content": "0.txt by Ann: TEXT"},
    ]
    assert orjson.dumps(rate["schema"]) == orjson.dumps(SCHEMA)  # as it was given, the order of its members too
    assert summary["messages"] == [{"role": "user", "content": "Summarise:\n\nTEXT"}]
    assert "schema" not in summary


@pytest.mark.parametrize("metadata", [None, "text", ["a"], 5, {}])
def test_invalid_metadata_is_empty(client: ApiClient, metadata: Any) -> None:
    """A worker's result is any object: invalid metadata must not stop the leases of a batch."""
    prompt = {"name": "p", "text": "<{metadata.author}> {document}"}
    batch = create(client, documents=1, prompts=[prompt])
    act(client, batch["id"], "stage")
    (staging,) = lease(client, batch["id"])
    complete(client, staging, {"text": "TEXT", "metadata": metadata})
    act(client, batch["id"], "run")
    (task,) = lease(client, batch["id"])
    assert task["payload"]["messages"][0]["content"] == "<> TEXT"
    finish_all(client, batch["id"])
