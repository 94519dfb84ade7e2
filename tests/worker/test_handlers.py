"""The handlers: chosen by kind, connection and model; and the reports of what a handler returns or raises."""

import pickle
from pathlib import Path

import orjson
import pytest

from app.worker import ConnectionClosed, Task, TaskFailed
from app.worker.executors import make_executor
from app.worker.handlers import Handlers, perform
from app.worker.named_functions import import_function
from app.worker.textstats.handler import textstats
from tests.worker import sample_handlers


def analyze(**payload: object) -> Task:
    return Task("1", 1, 1, "ANALYZE", 1, dict(payload), "t.1.1")


@pytest.fixture
def handlers() -> Handlers:
    return Handlers(
        sample_handlers.read,
        {"openai": sample_handlers.slow, "openai/small": sample_handlers.at_once, "local": sample_handlers.fails},
    )


def test_the_closest_handler_is_found(handlers: Handlers) -> None:
    assert handlers.find(Task("1", 1, 1, "STAGE", 1, {})) is sample_handlers.read
    assert handlers.find(analyze(connection="openai", model="large")) is sample_handlers.slow
    assert handlers.find(analyze(connection="openai", model="small")) is sample_handlers.at_once
    assert handlers.find(analyze(connection="local", model="textstats")) is textstats
    assert handlers.find(analyze(connection="local", model="other")) is sample_handlers.fails


def test_ready_made_lines_go_by_their_model(handlers: Handlers) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1", "body": {"model": "textstats"}}
    assert handlers.find(analyze(**line)) is textstats
    assert (
        Handlers(sample_handlers.read, {"jsonl": sample_handlers.slow}).find(
            analyze(**{**line, "body": {"model": "x"}})
        )
        is sample_handlers.slow
    )


@pytest.mark.parametrize(
    "task",
    [
        analyze(connection="nowhere", model="m"),
        analyze(custom_id="a", body={"model": "gpt"}),
        analyze(custom_id="a", body="nonsense"),
        analyze(),
        Task("1", 1, 1, "PAINT", 1, {}),
    ],
)
def test_without_a_handler_the_task_fails_for_good(handlers: Handlers, task: Task) -> None:
    with pytest.raises(TaskFailed) as caught:
        handlers.find(task)
    assert (caught.value.code, caught.value.retryable) == ("no_handler", False)


def test_perform_reports_results_and_exceptions() -> None:
    assert perform(sample_handlers.at_once, analyze()).has_result
    report = orjson.loads(perform(sample_handlers.fails, analyze()).body)
    assert report["error"] == {"code": "rate_limited", "message": "come back"}
    assert report["retry_after_seconds"] == 7.5
    assert not perform(lambda task: 1 / 0, analyze()).has_result  # type: ignore[arg-type, return-value]


def test_tasks_and_failures_travel_between_processes() -> None:
    task = analyze(a=1)
    task.stopping.set()
    copy = pickle.loads(pickle.dumps(task))
    assert copy == task
    assert not copy.stopped
    failure = pickle.loads(pickle.dumps(TaskFailed("a", "b", False, True, 3.0, {"cost": 0.5})))
    assert (failure.code, failure.message, failure.retryable, failure.critical) == ("a", "b", False, True)
    assert (failure.retry_after_seconds, failure.usage) == (3.0, {"cost": 0.5})
    closed = pickle.loads(pickle.dumps(ConnectionClosed("a", "b", "access", "m", 3.0)))
    assert (closed.connection, closed.message, closed.error_class) == ("a", "b", "access")
    assert (closed.model, closed.retry_after_seconds) == ("m", 3.0)


def test_perform_returns_that_a_connection_is_closed(tmp_path: Path) -> None:
    closed = perform(sample_handlers.closed_once, analyze(connection="a", mark=str(tmp_path / "mark")))
    assert isinstance(closed, ConnectionClosed)
    assert type(pickle.loads(pickle.dumps(closed))) is ConnectionClosed


def test_what_a_worker_can_do_follows_from_its_handlers(handlers: Handlers) -> None:
    named = ["local/textstats", "jsonl/textstats", "openai/*", "openai/small", "local/*"]
    assert handlers.can() == ["stage", *named]
    assert Handlers(None, {"jsonl": sample_handlers.slow}).can() == ["local/textstats", "jsonl/textstats", "jsonl:*"]
    only = Handlers(sample_handlers.read, {"openai": sample_handlers.slow}, only=["openai"])
    assert only.can() == ["stage", "openai/*"]


def test_a_worker_that_stages_nothing_says_so() -> None:
    with pytest.raises(TaskFailed, match="STAGE"):
        Handlers(None).find(Task("1", 1, 1, "STAGE", 1, {}))


def test_executors_by_name() -> None:
    with make_executor("threads", 2) as threads, make_executor("concurrent.futures:ThreadPoolExecutor", 2) as named:
        assert threads.submit(perform, sample_handlers.at_once, analyze()).result().has_result
        assert named.submit(perform, sample_handlers.at_once, analyze()).result().has_result


@pytest.mark.parametrize("name", ["", "os", "os:", ":path", "no_such_module:f", "os:no_such_name", "os:sep"])
def test_a_name_that_names_no_function_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(ImportError, match=r"\.$"):
        import_function(name)
