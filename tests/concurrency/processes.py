"""Work done by several processes that begin together, each with services of its own.

They are not forked from the test's own process: what it has open is none of theirs.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier, Event
from typing import Any, TypeVar

from app import logging
from app.services import Services, build
from config import Config
from tests.support.process import FORKS
from tests.support.waiting import LIMIT_SECONDS

T = TypeVar("T")


class Meeting:
    """What the processes of one race share: a barrier, and an event."""

    def __init__(self, processes: int) -> None:
        self.barrier: Barrier = FORKS.Barrier(processes, timeout=LIMIT_SECONDS)
        self.event: Event = FORKS.Event()


_meeting: Meeting


def _enter(meeting: Meeting) -> None:
    global _meeting
    _meeting = meeting
    logging.configure("ERROR")


def meeting() -> Meeting:
    """The meeting of the race that this process takes part in."""
    return _meeting


def services_on(database_url: str) -> Services:
    """Build services for a process that ends with them."""
    return build(Config(database_url=database_url, embedded_worker=False, sweeper=False))


def race(
    work: Callable[..., T], calls: Iterable[tuple[Any, ...]], meanwhile: Callable[[Meeting], None] | None = None
) -> list[T]:
    """Call `work` with each of `calls` in a process of its own; return what they return, in order.

    The work awaits `meeting().barrier`; with `meanwhile`, which runs here, this process is one more at it.
    """
    arguments = list(calls)
    shared = Meeting(len(arguments) + (meanwhile is not None))
    with ProcessPoolExecutor(len(arguments), FORKS, _enter, (shared,)) as pool:
        futures = [pool.submit(work, *each) for each in arguments]
        if meanwhile:
            meanwhile(shared)
        return [future.result(LIMIT_SECONDS) for future in futures]
