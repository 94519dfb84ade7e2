"""What sends digests, forked from a process that has imported apprise, which takes most of the time of a real one.

The fork does what `python -m app.notifier` does, under the same guard. Some tests of digests start the real one.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Lock
from types import SimpleNamespace
from typing import Any

import orjson

from tests.support.process import FORKS


@contextmanager
def forked_notifier() -> Iterator[SimpleNamespace]:
    """Give what stands for the module `subprocess` in app/services/webhook/notifying.py."""
    ours, its = Pipe()
    forker = FORKS.Process(target=_serve, args=(its,))
    forker.start()
    its.close()
    lock = Lock()

    def run(
        command: list[str], *, input: bytes, env: dict[str, str], timeout: float, **_: Any
    ) -> "subprocess.CompletedProcess[bytes]":
        assert command[1:] == ["-m", "app.notifier"]
        with lock:
            ours.send((input, env))
            answer = ours.recv_bytes()
        if not answer:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, 0, answer)

    try:
        yield SimpleNamespace(**{**vars(subprocess), "run": run})
    finally:
        ours.close()
        forker.join()


def _serve(orders: Connection) -> None:
    from apprise import Apprise

    from app.notifier.__main__ import carry_out

    Apprise.instantiate("json://localhost/")  # it reads the modules of all services
    while True:
        try:
            order, environment = orders.recv()
        except EOFError:
            return
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            os.environ.clear()
            os.environ.update(environment)
            os.write(writing, orjson.dumps(carry_out(orjson.loads(order))))
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as answer:
            orders.send_bytes(answer.read())  # nothing, if the guard has ended it
        os.waitpid(pid, 0)
