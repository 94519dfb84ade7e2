"""Answers in JSON: parsed from texts, and checked against the schema of their prompt, for every handler."""

from typing import Any

import orjson
import pytest

from app.worker import Task, TaskFailed
from app.worker.answers.json_answers import NotJson, check_result, mismatch, parse_json
from app.worker.handlers import perform

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
USAGE = {"input_tokens": 3, "output_tokens": 4, "cost": 0.5, "latency_ms": 7}


def performed(result: Any, schema: Any = SCHEMA) -> dict[str, Any]:
    task = Task("1", 1, 1, "ANALYZE", 1, {"schema": schema}, "t.1.1")
    report: dict[str, Any] = orjson.loads(perform(lambda _: result, task).body)
    return report


def test_an_answer_that_fits_is_completed_with_its_json() -> None:
    assert performed({"json": {"n": 1}, "text": "x"})["result"] == {"json": {"n": 1}, "text": "x"}
    assert performed({"text": ' {"n": 1} '})["result"]["json"] == {"n": 1}
    assert performed({"text": "```\n[1]\n```"}, {"type": "array"})["result"]["json"] == [1]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"json": {"n": "one"}}, "at $.n: 'one' is not of type 'integer'"),
        ({"text": "{}"}, "'n' is a required property"),
        ({"text": "One."}, "is not JSON"),
        ({}, "is not JSON"),
        ({"json": None, "text": '{"n": 1}'}, "None is not of type 'object'"),
    ],
)
def test_one_that_does_not_match_is_a_failed_attempt_with_its_usage(result: dict[str, Any], message: str) -> None:
    report = performed({**result, "usage": USAGE})
    assert (report["outcome"], report["retryable"], report["critical"]) == ("failed", True, False)
    assert report["error"]["code"] == "schema_mismatch"
    assert message in report["error"]["message"]
    assert report["error"]["usage"] == USAGE


def test_without_a_schema_every_answer_is_accepted() -> None:
    assert performed({"text": "One."}, schema=None)["result"] == {"text": "One."}


def test_a_result_that_is_no_object_stays_what_it_was() -> None:
    assert performed(["no", "object"])["error"]["code"] == "bad_result"


@pytest.mark.parametrize("schema", [{"type": "no such type"}, {"$ref": "http://127.0.0.1:9/schema"}, {"$ref": "#/no"}])
def test_an_invalid_schema_fails_for_good_and_fetches_nothing(schema: Any) -> None:
    with pytest.raises(TaskFailed) as caught:
        check_result({"json": {}}, schema)
    assert (caught.value.code, caught.value.retryable) == ("bad_schema", False)


def test_the_message_of_a_huge_answer_keeps_its_end() -> None:
    message = mismatch("x" * 10_000, {"type": "integer"})
    assert message is not None
    assert len(message) < 1_000
    assert message.endswith("is not of type 'integer'")


@pytest.mark.parametrize("text", ["", "four", '{"half": ', "```json\nno\n```", "So: {n: 1}"])
def test_other_texts_are_no_json(text: str) -> None:
    with pytest.raises(NotJson):
        parse_json(text)
