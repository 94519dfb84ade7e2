"""Threads that run what is submitted at the end of their task."""

import threading
from concurrent.futures import Future

import pytest

from app.worker.executors.thread_executor import ThreadExecutor
from tests.support.waiting import LIMIT_SECONDS, wait_until


def test_a_result_and_an_exception() -> None:
    with ThreadExecutor(2) as executor:
        assert executor.submit(lambda a, b: a - b, 5, b=3).result(LIMIT_SECONDS) == 2
        with pytest.raises(ZeroDivisionError):
            executor.submit(lambda: 1 / 0).result(LIMIT_SECONDS)
        assert isinstance(executor.submit(exit).exception(LIMIT_SECONDS), SystemExit)
        assert executor.submit(threading.current_thread).result(LIMIT_SECONDS).name.startswith("task")


def test_what_is_submitted_at_the_end_of_a_task_runs_in_its_thread() -> None:
    threads: list[int] = []
    over = threading.Event()

    def next_one(_: "Future[None]") -> None:
        if len(threads) < 50:
            executor.submit(note).add_done_callback(next_one)
        else:
            over.set()

    def note() -> None:
        threads.append(threading.get_ident())

    with ThreadExecutor(4) as executor:
        begin = threading.Event()
        first = executor.submit(begin.wait, LIMIT_SECONDS)
        first.add_done_callback(next_one)  # before its task is over: the callback runs in its thread
        begin.set()
        assert over.wait(LIMIT_SECONDS)
    assert len(threads) == 50
    assert len(set(threads)) == 1


def test_of_several_submissions_at_the_end_the_others_run_in_other_threads() -> None:
    """They meet: none waits for the end of another."""
    meeting = threading.Barrier(3)
    made: list[Future[int]] = []

    def submit_three(_: "Future[bool]") -> None:
        made.extend(executor.submit(meeting.wait, LIMIT_SECONDS) for _ in range(3))

    with ThreadExecutor(3) as executor:
        begin = threading.Event()
        first = executor.submit(begin.wait, LIMIT_SECONDS)
        first.add_done_callback(submit_three)
        begin.set()
        wait_until(lambda: len(made) == 3)
        assert sorted(each.result(LIMIT_SECONDS) for each in made) == [0, 1, 2]


def test_a_task_that_submits_another_one_does_not_wait_for_its_own_thread() -> None:
    """Only at its end is a thread free."""
    with ThreadExecutor(2) as executor:
        inner = executor.submit(lambda: executor.submit(lambda: 7).result(LIMIT_SECONDS))
        assert inner.result(LIMIT_SECONDS) == 7


def test_after_a_shutdown_nothing_is_taken_and_what_waits_is_cancelled() -> None:
    executor, release = ThreadExecutor(1), threading.Event()
    refused: list[BaseException] = []

    def submit_late(_: "Future[bool]") -> None:
        try:
            executor.submit(int)
        except RuntimeError as error:
            refused.append(error)

    running = executor.submit(release.wait, LIMIT_SECONDS)
    running.add_done_callback(submit_late)
    waiting = executor.submit(int)
    wait_until(running.running)
    executor.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    release.set()
    assert running.result(LIMIT_SECONDS)
    wait_until(lambda: refused)
