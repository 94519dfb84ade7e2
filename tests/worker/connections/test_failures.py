"""A model server that misbehaves: each failure becomes the right report, and no report contains the key."""

import threading
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from app.worker import TaskFailed
from app.worker.connections import failures
from app.worker.connections.failures import retry_after
from app.worker.connections.handler import ConnectionHandler
from tests.support.waiting import wait_until
from tests.worker.connections.conftest import KEY, Clock, Connect, asking
from tests.worker.connections.model_server import MisbehavingServer

LEAKED_KEY = (401, {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}})
NO_CREDIT = (429, {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}})
FILTERED = (400, {"error": {"message": "The prompt was filtered.", "code": "content_filter"}})
SHORT_TIMEOUTS = {"read_seconds": 0.5, "total_seconds": 1.0, "connect_seconds": 1.0}
OLLAMAS = (404, {"error": 'model "m" not found'})


def failure(handler: ConnectionHandler) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        handler(asking())
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("order", "code", "retryable", "critical", "text"),
    [
        (429, "rate_limited", True, False, "This is a 429."),
        (500, "server_error", True, False, "This is a 500."),
        (502, "server_error", True, False, "lab answers 502"),
        (408, "server_error", True, False, "408"),
        ("cut", "no_answer", True, False, "no complete answer"),
        ("half", "no_answer", True, False, "no complete answer"),
        ("broken", "bad_answer", True, False, "not complete JSON"),
        ("silence", "timeout", True, False, "in time"),
        ("trickle", "timeout", True, False, "in time"),
        ([], "bad_answer", True, False, "not an object"),
        ({}, "bad_answer", True, False, "without a choice"),
        ({"choices": [None]}, "bad_answer", True, False, "without a choice"),
        (400, "request_refused", False, False, "This is a 400."),
        (422, "request_refused", False, False, "This is a 422."),
        (302, "request_refused", False, False, "302"),
        (OLLAMAS, "request_refused", False, False, "not found"),
        (FILTERED, "content_filter", False, False, "was filtered"),
        (LEAKED_KEY, "no_access", False, True, "[hidden]"),
        (403, "no_access", False, True, "This is a 403."),
        (NO_CREDIT, "no_access", False, True, "quota"),
    ],
)
def test_each_failure_is_reported_for_what_it_is(
    connect: Connect, model_server: MisbehavingServer, order: Any, code: str, retryable: bool, critical: bool, text: str
) -> None:
    model_server.order(order)
    handler = connect(**(SHORT_TIMEOUTS if code == "timeout" else {}))
    failed = failure(handler)
    assert (failed.code, failed.retryable, failed.critical) == (code, retryable, critical)
    assert text in failed.message
    assert len(model_server.calls) == 1  # only the service repeats attempts
    assert connect()(asking())["text"] == "Four."


def test_a_refused_connection_is_retryable(connect: Connect) -> None:
    failed = failure(connect(base_url="http://127.0.0.1:9/v1"))
    assert (failed.code, failed.retryable) == ("no_answer", True)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_reported_and_slows_the_whole_connection(
    connect: Connect, model_server: MisbehavingServer, status: int
) -> None:
    handler, answers, clock = connect(), [], Clock()
    handler._limiter._clock = clock
    model_server.order((status, {"Retry-After": "100"}))
    assert failure(handler).retry_after_seconds == 100.0
    threads = [threading.Thread(target=lambda: answers.append(handler(asking())), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(handler._limiter._waiting) == 3)
    clock.now = 99.9
    looked = clock.looks
    wait_until(lambda: clock.looks > looked)  # a thread has seen that it is too early
    assert len(model_server.calls) == 1
    clock.now = 100.0
    wait_until(lambda: len(answers) == 3)


def test_who_waits_out_a_pause_leaves_when_it_is_to_stop(connect: Connect, model_server: MisbehavingServer) -> None:
    handler, task, raised = connect(), asking(), []
    model_server.order((429, {"Retry-After": "3600"}))
    failure(handler)

    def wait() -> None:
        try:
            handler(task)
        except TaskFailed as stopped:
            raised.append(stopped.code)

    threading.Thread(target=wait, daemon=True).start()
    wait_until(lambda: handler._limiter._waiting)
    task.stopping.set()
    wait_until(lambda: raised == ["stopped"])
    assert len(model_server.calls) == 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("0.5", 0.5), ("-1", 0), ("soon", None), ("", None), (formatdate(0), 0)]
)
def test_retry_after_is_read_in_either_form(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds


def test_retry_after_as_a_date_is_counted_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "time", SimpleNamespace(time=lambda: 1_000_000.0))
    assert retry_after({"Retry-After": formatdate(1_000_100, usegmt=True)}) == 100
