"""The rate limiter: limits hold across threads, a pause holds all calls back, a stopped task gives up waiting."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.worker import Task, TaskFailed
from app.worker.connections.rate_limiter import FIRST_ANSWER_TOKENS, MAX_PAUSE_SECONDS, RateLimiter
from app.worker.connections.settings import Connection
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.connections.conftest import Clock, asking


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock, request: pytest.FixtureRequest) -> RateLimiter:
    return RateLimiter("lab", Connection(base_url="http://127.0.0.1:1", **request.param), clock)


def going(limiter: RateLimiter, task: Task, went: list[Task], tokens: float = 0.0) -> threading.Thread:
    """Wait for a slot in a thread, and note when the task got it."""

    def go() -> None:
        with limiter.slot(task, tokens):
            went.append(task)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("limiter", [{"requests_per_minute": 60}], indirect=True)
def test_threads_go_one_after_another_in_the_order_they_came(limiter: RateLimiter, clock: Clock) -> None:
    went: list[Any] = []
    tasks = [asking(str(number)) for number in range(5)]
    for number, task in enumerate(tasks):
        going(limiter, task, went)
        wait_until(lambda number=number: len(limiter._waiting) + len(went) == number + 1)
    for number in range(1, 5):
        wait_until(lambda number=number: len(went) == number)
        clock.now += 60 / 60 / 0.96 + 0.001
    wait_until(lambda: went == tasks)


@pytest.mark.parametrize("limiter", [{"concurrency": 2}], indirect=True)
def test_no_more_calls_at_once_than_the_limit(limiter: RateLimiter) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def call(_: int) -> None:
        nonlocal inside, most
        with limiter.slot(asking(), 0):
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.005)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(40)))
    assert most == 2


@pytest.mark.parametrize("limiter", [{"concurrency": 1}], indirect=True)
def test_a_call_that_fails_releases_its_slot(limiter: RateLimiter) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limiter.slot(asking(), 0):
            _ = 1 / 0


@pytest.mark.parametrize("limiter", [{}], indirect=True)
def test_a_pause_holds_everybody_and_never_for_ever(limiter: RateLimiter, clock: Clock) -> None:
    went: list[Any] = []
    limiter.pause(1e9)
    limiter.pause(1)  # a shorter pause does not end the longer one
    for _ in range(3):
        going(limiter, asking(), went)
    wait_until(lambda: len(limiter._waiting) == 3)
    clock.now = MAX_PAUSE_SECONDS - 1
    looked = clock.looks
    wait_until(lambda: clock.looks > looked)
    assert not went
    clock.now = MAX_PAUSE_SECONDS
    wait_until(lambda: len(went) == 3)


@pytest.mark.parametrize("limiter", [{"requests_per_minute": 1}], indirect=True)
def test_a_task_that_is_to_stop_stops_waiting_and_takes_no_turn(limiter: RateLimiter, clock: Clock) -> None:
    went: list[Any] = []
    with limiter.slot(asking(), 0):
        pass
    unwanted, wanted = asking("unwanted"), asking("wanted")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: limiter.slot(unwanted, 0).__enter__())
        wait_until(lambda: len(limiter._waiting) == 1)
        going(limiter, wanted, went)
        unwanted.stopping.set()
        with pytest.raises(TaskFailed, match="stopped"):
            waiting.result(LIMIT_SECONDS)
    clock.now = 63.0
    wait_until(lambda: went)
    assert went[0] is wanted


@pytest.mark.parametrize("limiter", [{"tokens_per_minute": 1_000}], indirect=True)
def test_tokens_hold_calls_back_until_they_are_paid(limiter: RateLimiter, clock: Clock) -> None:
    went: list[Any] = []
    going(limiter, asking(), went, tokens=960).join(LIMIT_SECONDS)
    going(limiter, asking(), went, tokens=1)
    wait_until(lambda: len(limiter._waiting) == 1)
    clock.now = 50.0
    looked = clock.looks
    wait_until(lambda: clock.looks > looked)
    assert len(went) == 1
    limiter.correct(960, 96, 0)  # the answer used a tenth of the estimate
    wait_until(lambda: len(went) == 2)


@pytest.mark.parametrize("limiter", [{}], indirect=True)
def test_what_an_answer_takes_is_learned(limiter: RateLimiter) -> None:
    assert limiter.estimate(10, 50) == 60
    assert limiter.estimate(10, None) == 10 + FIRST_ANSWER_TOKENS
    for _ in range(50):
        limiter.correct(0, 10, 200)
    assert limiter.estimate(10, None) == pytest.approx(210, abs=2)
