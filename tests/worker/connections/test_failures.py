"""A model server that misbehaves: each failure becomes the right report, and no report contains the key."""

import threading
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from app.worker import ConnectionClosed, Task, TaskFailed
from app.worker.connections import calls, failures
from app.worker.connections.failures import retry_after
from app.worker.connections.handler import ConnectionHandler
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.connections.conftest import KEY, Clock, Connect, asking
from tests.worker.connections.model_server import MisbehavingServer

LEAKED_KEY = (401, {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}})
NO_CREDIT = (429, {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}})
FILTERED = (400, {"error": {"message": "The prompt was filtered.", "code": "content_filter"}})
SHORT_TIMEOUTS = {"read_seconds": 0.5, "total_seconds": 1.0, "connect_seconds": 1.0}
OLLAMAS = (404, {"error": 'model "m" not found'})


MODEL_NOT_FOUND = (403, {"error": {"message": "No access to this model.", "code": "model_not_found"}})
NOT_A_MODEL = (400, {"error": {"message": "m is not a valid model ID", "code": 400}})
LINE_NOT_FOUND = (404, {"error": {"message": "No such response.", "code": "previous_response_not_found"}})
TOO_LARGE = (429, {"error": {"message": "Request too large for m.", "code": "rate_limit_exceeded"}})


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "REPEAT_SECONDS", 0.01)


def failure(handler: ConnectionHandler, task: Task | None = None) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        handler(task or asking())
    assert KEY not in str(caught.value)
    return caught.value


def closed(handler: ConnectionHandler) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        handler(asking())
    assert KEY not in str(caught.value)
    return caught.value


def failure_beside_a_success(handler: ConnectionHandler, server: MisbehavingServer) -> TaskFailed:
    """Make a call that fails, and before it is decided whose failure that is, a call of another task that succeeds."""
    raised: list[TaskFailed] = []
    thread = threading.Thread(target=lambda: raised.append(failure(handler)), daemon=True)
    thread.start()
    wait_until(lambda: server.calls and handler._calls._under_way == 0)
    assert handler(asking(task_id="2"))["text"] == "Four."
    thread.join(LIMIT_SECONDS)
    return raised[0]


OUTAGES = [
    (500, "server_error", "This is a 500."),
    (502, "server_error", "lab answers 502"),
    (408, "server_error", "408"),
    ("cut", "no_answer", "no complete answer"),
    ("half", "no_answer", "no complete answer"),
    ("broken", "bad_answer", "not complete JSON"),
    ("silence", "timeout", "in time"),
    ("trickle", "timeout", "in time"),
]


@pytest.mark.parametrize(("order", "code", "text"), [*OUTAGES, (403, "request_refused", "This is a 403.")])
def test_while_others_succeed_it_is_the_failure_of_its_task(
    connect: Connect, model_server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch, order: Any, code: str, text: str
) -> None:
    monkeypatch.setattr(calls, "REPEAT_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr(calls, "UNDECIDED_SECONDS", LIMIT_SECONDS)
    handler = connect(**(SHORT_TIMEOUTS if code == "timeout" else {}))
    if order == 403:
        handler(asking(task_id="3"))  # the key is good
        del model_server.calls[:]
    model_server.order(order)
    failed = failure_beside_a_success(handler, model_server) if order != 403 else failure(handler)
    assert (failed.code, failed.retryable, failed.critical) == (code, order != 403, False)
    assert text in failed.message
    assert len(model_server.calls) == (1 if order == 403 else 2)  # only the service repeats attempts


@pytest.mark.parametrize(("order", "code", "text"), OUTAGES)
def test_alone_it_is_called_once_more_and_then_closes_the_connection(
    connect: Connect, model_server: MisbehavingServer, order: Any, code: str, text: str
) -> None:
    model_server.order(order)
    settings = SHORT_TIMEOUTS if code == "timeout" else {}
    assert connect(**settings)(asking())["text"] == "Four."
    assert len(model_server.calls) == 2
    model_server.order(order, order)
    closing = closed(connect(**settings))
    assert (closing.connection, len(model_server.calls)) == ("lab", 4)
    assert text in closing.message


@pytest.mark.parametrize(
    ("order", "code", "text"),
    [
        ([], "bad_answer", "not an object"),
        ({}, "bad_answer", "without a choice"),
        ({"choices": [None]}, "bad_answer", "without a choice"),
        (409, "server_error", "This is a 409."),
        (400, "request_refused", "This is a 400."),
        (422, "request_refused", "This is a 422."),
        (302, "request_refused", "302"),
        (LINE_NOT_FOUND, "request_refused", "No such response."),
        (TOO_LARGE, "request_refused", "Request too large"),
        (FILTERED, "content_filter", "was filtered"),
    ],
)
def test_an_answer_is_about_its_task(
    connect: Connect, model_server: MisbehavingServer, order: Any, code: str, text: str
) -> None:
    model_server.order(order)
    failed = failure(connect())
    assert (failed.code, failed.retryable, failed.critical) == (code, code in ("bad_answer", "server_error"), False)
    assert text in failed.message
    assert len(model_server.calls) == 1
    assert connect()(asking())["text"] == "Four."


@pytest.mark.parametrize(
    ("order", "text"), [(LEAKED_KEY, "[hidden]"), (403, "This is a 403."), (402, "402"), (NO_CREDIT, "quota")]
)
def test_a_key_that_is_not_let_in_closes_the_connection_at_once(
    connect: Connect, model_server: MisbehavingServer, order: Any, text: str
) -> None:
    model_server.order(order)
    handler = connect()
    assert text in closed(handler).message
    assert closed(handler).connection == "lab"
    assert len(model_server.calls) == 1


@pytest.mark.parametrize("order", [OLLAMAS, 404, MODEL_NOT_FOUND, NOT_A_MODEL])
def test_an_unknown_model_closes_itself_alone(connect: Connect, model_server: MisbehavingServer, order: Any) -> None:
    handler = connect()
    model_server.order(order)
    closed(handler)
    closed(handler)
    assert len(model_server.calls) == 1
    assert handler(asking(model="another", task_id="2"))["text"] == "Four."
    model_server.order(order)
    assert failure(handler, asking(model="another")).code == "request_refused"  # it is known


def test_a_refused_connection_closes(connect: Connect) -> None:
    assert "no complete answer" in closed(connect(base_url="http://127.0.0.1:9/v1")).message


def test_a_429_is_nobodys_failure(connect: Connect, model_server: MisbehavingServer) -> None:
    handler = connect()
    model_server.order((429, {"Retry-After": "0"}), (429, {"Retry-After": "0"}))
    assert handler(asking())["text"] == "Four."
    assert len(model_server.calls) == 3
    model_server.order(*[(429, {"Retry-After": "0"})] * 3)
    assert "429" in closed(handler).message
    assert len(model_server.calls) == 6


@pytest.mark.parametrize("header", [{"Retry-After": "8"}, {}])
def test_a_429_slows_the_whole_connection(
    connect: Connect, model_server: MisbehavingServer, header: dict[str, str]
) -> None:
    handler, answers, clock = connect(), [], Clock()
    handler._limiter._clock = clock
    wait_seconds = float(header.get("Retry-After", "1"))
    model_server.order((429, header))
    tasks = [asking(task_id=str(number)) for number in range(4)]
    threads = [threading.Thread(target=lambda task=task: answers.append(handler(task)), daemon=True) for task in tasks]
    threads[0].start()
    wait_until(lambda: model_server.calls and len(handler._limiter._waiting) == 1)
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: len(handler._limiter._waiting) == 4)
    clock.now = wait_seconds - 0.1
    looked = clock.looks
    wait_until(lambda: clock.looks > looked)  # a thread has seen that it is too early
    assert len(model_server.calls) == 1
    clock.now = wait_seconds
    wait_until(lambda: len(answers) == 4)
    assert len(model_server.calls) == 5


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seconds", ["11", "80000"])
def test_a_long_retry_after_closes_the_connection_and_not_the_task(
    connect: Connect, model_server: MisbehavingServer, status: int, seconds: str
) -> None:
    handler = connect()
    model_server.order((status, {"Retry-After": seconds}))
    changes: list[Any] = []
    handler.circuit.report = changes.append
    closed(handler)
    closed(handler)
    assert len(model_server.calls) == 1
    assert [(each.outcome, each.retry_after_seconds) for each in changes] == [("failed", float(seconds))]


@pytest.mark.parametrize("order", [404, 405, 400, 302])
def test_a_server_that_answers_anything_is_there(connect: Connect, model_server: MisbehavingServer, order: int) -> None:
    handler, changes = connect(), []
    handler.circuit.report = changes.append
    handler.check()
    model_server.order(order)
    handler.check()
    assert model_server.checks == ["/v1/models"] * 2
    assert [change.outcome for change in changes] == ["succeeded", "succeeded"]


@pytest.mark.parametrize(
    ("order", "error_class"),
    [
        (500, "outage"), (503, "outage"), (408, "outage"), ("cut", "outage"), (429, "rate_limit"), (401, "access"),
        (403, "access"),
    ],
)  # fmt: skip
def test_a_server_that_is_not_there_is_found_without_a_task(
    connect: Connect, model_server: MisbehavingServer, order: Any, error_class: str
) -> None:
    handler, changes = connect(), []
    handler.circuit.report = changes.append
    model_server.order(order)
    handler.check()
    assert [(change.outcome, change.error_class) for change in changes] == [("failed", error_class)]


def test_who_waits_out_a_pause_leaves_when_it_is_to_stop(connect: Connect, model_server: MisbehavingServer) -> None:
    handler, task, raised = connect(), asking(), []
    handler._limiter._clock = Clock()
    model_server.order((429, {"Retry-After": "10"}))

    def wait() -> None:
        try:
            handler(task)
        except TaskFailed as stopped:
            raised.append(stopped.code)

    threading.Thread(target=wait, daemon=True).start()
    wait_until(lambda: model_server.calls and handler._limiter._waiting)
    task.stopping.set()
    wait_until(lambda: raised == ["stopped"])
    assert len(model_server.calls) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0.5", 0.5), ("-1", 0), ("soon", None), ("", None), ("nan", None), ("inf", None), (formatdate(0), 0)],
)
def test_retry_after_is_read_in_either_form(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds


def test_retry_after_as_a_date_is_counted_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "time", SimpleNamespace(time=lambda: 1_000_000.0))
    assert retry_after({"Retry-After": formatdate(1_000_100, usegmt=True)}) == 100
