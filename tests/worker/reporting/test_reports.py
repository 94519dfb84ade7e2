"""Reports: everything that a handler returns or raises becomes a report that can be sent."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.worker import Task, TaskFailed
from app.worker.reporting.reports import completed, failed, of_exception, sendable
from tests.support.effort import effort

TASK = Task("5", 1, 1, "ANALYZE", 1, {}, "t.5.1")
# All of Unicode, and lone surrogates, which JSON in UTF-8 cannot contain.
ANY_TEXT = st.text(st.characters(exclude_categories=[]))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=10,
)


EXAMPLES = effort(test=100, soak=1_000)  # a dictionary of such values takes Hypothesis a tenth of a second


def body(report) -> dict:
    return orjson.loads(report.body)


def test_a_result_is_sent_as_it_is() -> None:
    report = completed(TASK, {"text": "ä\0b", "json": {"a": [1, None, 1.5]}})
    assert report.has_result
    assert body(report) == {
        "task_id": "5", "lease_token": "t.5.1", "outcome": "completed",
        "result": {"text": "ä\0b", "json": {"a": [1, None, 1.5]}},
    }  # fmt: skip


def test_halves_of_characters_are_mended_or_replaced() -> None:
    sent = body(completed(TASK, {"joined": "\ud83d\ude00", "alone": "a\ud800b", "k\udfff": "x"}))["result"]
    assert sent == {"joined": "😀", "alone": "a\ufffdb", "k\ufffd": "x"}


def test_numbers_that_json_cannot_carry() -> None:
    sent = body(completed(TASK, {"big": 2**70, "nan": float("nan"), "inf": float("inf")}))["result"]
    assert sent == {"big": str(2**70), "nan": None, "inf": None}


@settings(max_examples=EXAMPLES)
@given(st.dictionaries(ANY_TEXT, ANY_JSON))
def test_any_json_like_result_is_sent(result: dict) -> None:
    assert body(completed(TASK, result))["outcome"] == "completed"


@pytest.mark.parametrize("result", [None, "text", ["list"], 3])
def test_a_result_that_is_no_object_fails_for_good(result: object) -> None:
    report = completed(TASK, result)
    assert not report.has_result
    assert body(report)["error"]["code"] == "bad_result"
    assert body(report)["retryable"] is False


def test_a_result_that_is_no_json_fails_for_good() -> None:
    deep: list = []
    for _ in range(1000):
        deep = [deep]
    circular: dict = {}
    circular["again"] = circular
    for result in ({"a": object()}, {"a": {1, 2}}, {"a": deep}, circular):
        assert body(completed(TASK, result))["error"]["code"] == "bad_result"


def test_a_failure_says_all_that_was_raised() -> None:
    report = body(failed(TASK, TaskFailed("quota", "no more", retryable=True, critical=True, retry_after_seconds=2.5)))
    assert report == {
        "task_id": "5", "lease_token": "t.5.1", "outcome": "failed", "error": {"code": "quota", "message": "no more"},
        "retryable": True, "critical": True, "retry_after_seconds": 2.5,
    }  # fmt: skip


def test_a_failed_attempt_says_what_it_cost() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "cost": 0.25, "latency_ms": 10}
    assert body(failed(TASK, TaskFailed("a", "b", usage=usage)))["error"] == {
        "code": "a", "message": "b", "usage": usage,
    }  # fmt: skip


@pytest.mark.parametrize("usage", ["three", {"cost": object()}, [1]])
def test_a_usage_that_is_no_object_is_left_out(usage: object) -> None:
    sent = body(failed(TASK, TaskFailed("a", "b", usage=usage)))  # type: ignore[arg-type]
    assert sent["error"] == {"code": "a", "message": "b"}


@pytest.mark.parametrize(("given", "sent"), [(None, None), (float("nan"), None), (-1, 0), (1e9, 86_400)])
def test_retry_after_is_held_to_what_the_service_takes(given: float | None, sent: float | None) -> None:
    report = body(failed(TASK, TaskFailed("a", "b", retry_after_seconds=given)))
    assert report.get("retry_after_seconds") == sent


def test_texts_of_failures_are_cut_and_clean() -> None:
    report = body(failed(TASK, TaskFailed("c" * 500, "m\0\ud800" + "x" * 5000)))
    assert len(report["error"]["code"]) == 200
    assert len(report["error"]["message"]) == 2000
    assert report["error"]["message"].startswith("m\ufffd\ufffdx")
    assert body(failed(TASK, TaskFailed("  ", "")))["error"]["code"] == "handler_error"


def test_any_other_exception_may_be_tried_again() -> None:
    report = body(of_exception(TASK, ValueError("no such key")))
    assert report["error"] == {"code": "handler_error", "message": "ValueError: no such key"}
    assert (report["retryable"], report["critical"]) == (True, False)


@given(ANY_JSON)
def test_what_is_sendable_is_json(value: object) -> None:
    json.dumps(sendable(value)).encode()
    orjson.dumps(sendable(value), option=orjson.OPT_NON_STR_KEYS)
