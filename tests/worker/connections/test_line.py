"""The line before a model server: its limits hold across threads, a pause holds everybody, who is to stop leaves."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.worker import Task, TaskFailed
from app.worker.connections.line import FIRST_ANSWER_TOKENS, MOST_PAUSE_SECONDS, Line
from app.worker.connections.settings import Connection
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.connections.conftest import Clock, asking


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def line(clock: Clock, request: pytest.FixtureRequest) -> Line:
    return Line("lab", Connection(base_url="http://127.0.0.1:1", **request.param), clock)


def going(line: Line, task: Task, went: list[Task], tokens: float = 0.0) -> threading.Thread:
    """Stand in line in a thread, and note that it went."""

    def go() -> None:
        with line.turn(task, tokens):
            went.append(task)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("line", [{"requests_per_minute": 60}], indirect=True)
def test_threads_go_one_after_another_in_the_order_they_came(line: Line, clock: Clock) -> None:
    went: list[Any] = []
    tasks = [asking(str(number)) for number in range(5)]
    for number, task in enumerate(tasks):
        going(line, task, went)
        wait_until(lambda number=number: len(line._waiting) + len(went) == number + 1)
    for number in range(1, 5):
        wait_until(lambda number=number: len(went) == number)
        clock.now += 60 / 60 / 0.96 + 0.001
    wait_until(lambda: went == tasks)


@pytest.mark.parametrize("line", [{"concurrency": 2}], indirect=True)
def test_no_more_calls_at_once_than_there_are_seats(line: Line) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def call(_: int) -> None:
        nonlocal inside, most
        with line.turn(asking(), 0):
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.005)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(40)))
    assert most == 2


@pytest.mark.parametrize("line", [{"concurrency": 1}], indirect=True)
def test_a_call_that_fails_gives_its_seat_back(line: Line) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), line.turn(asking(), 0):
            _ = 1 / 0


@pytest.mark.parametrize("line", [{}], indirect=True)
def test_a_pause_holds_everybody_and_never_for_ever(line: Line, clock: Clock) -> None:
    went: list[Any] = []
    line.pause(1e9)
    line.pause(1)  # a shorter one does not end the longer
    for _ in range(3):
        going(line, asking(), went)
    wait_until(lambda: len(line._waiting) == 3)
    clock.now = MOST_PAUSE_SECONDS - 1
    looked = clock.looks
    wait_until(lambda: clock.looks > looked)
    assert not went
    clock.now = MOST_PAUSE_SECONDS
    wait_until(lambda: len(went) == 3)


@pytest.mark.parametrize("line", [{"requests_per_minute": 1}], indirect=True)
def test_a_task_that_is_to_stop_leaves_the_line_and_takes_no_turn(line: Line, clock: Clock) -> None:
    went: list[Any] = []
    with line.turn(asking(), 0):
        pass
    unwanted, wanted = asking("unwanted"), asking("wanted")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: line.turn(unwanted, 0).__enter__())
        wait_until(lambda: len(line._waiting) == 1)
        going(line, wanted, went)
        unwanted.stopping.set()
        with pytest.raises(TaskFailed, match="stopped"):
            waiting.result(LIMIT_SECONDS)
    clock.now = 63.0
    wait_until(lambda: went)
    assert went[0] is wanted


@pytest.mark.parametrize("line", [{"tokens_per_minute": 1_000}], indirect=True)
def test_tokens_hold_the_line_until_they_are_paid(line: Line, clock: Clock) -> None:
    went: list[Any] = []
    going(line, asking(), went, tokens=960).join(LIMIT_SECONDS)
    going(line, asking(), went, tokens=1)
    wait_until(lambda: len(line._waiting) == 1)
    clock.now = 50.0
    looked = clock.looks
    wait_until(lambda: clock.looks > looked)
    assert len(went) == 1
    line.used(960, 96, 0)  # it was a tenth of what was reckoned
    wait_until(lambda: len(went) == 2)


@pytest.mark.parametrize("line", [{}], indirect=True)
def test_what_an_answer_takes_is_learned(line: Line) -> None:
    assert line.reckoned(10, 50) == 60
    assert line.reckoned(10, None) == 10 + FIRST_ANSWER_TOKENS
    for _ in range(50):
        line.used(0, 10, 200)
    assert line.reckoned(10, None) == pytest.approx(210, abs=2)
