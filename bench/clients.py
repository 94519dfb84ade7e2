"""The client processes that lease and report: started, let go at the same moment, heard, and ended."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from bench.calls import WrongAnswer
from bench.options import CLIENTS, Bench
from bench.scene import Scene

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 900.0
Client = subprocess.Popen[str]


def run_clients(bench: Bench, there: Scene, batch_id: int, tasks: int, at_once: int) -> list[dict[str, Any]]:
    """Let the clients work on a batch until it has nothing to lease; return what each did.

    Raises WrongAnswer when one fails, or all take too long.
    """
    with _started(there, batch_id, at_once) as clients:
        for client in clients:
            _line(client)  # it has its connection
        with _watched(bench, there, batch_id, tasks):
            for client in clients:
                assert client.stdin
                client.stdin.write("go\n")
                client.stdin.flush()
            return [json.loads(_line(client)) for client in clients]


@contextmanager
def _started(there: Scene, batch_id: int, at_once: int) -> Iterator[list[Client]]:
    command = [sys.executable, "-m", "bench.client", there.server.url, str(batch_id), str(at_once)]
    clients: list[Client] = []
    try:
        for number in range(CLIENTS):
            client = subprocess.Popen(
                [*command, f"client-{number}"],
                cwd=ROOT,
                env={**os.environ, "BENCH_TOKEN": there.server.tokens["worker"]},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C reaches the benchmark alone, which then ends its children
            )
            clients.append(client)
        yield clients
    finally:
        for client in clients:
            client.kill()
            client.communicate()


def _line(client: Client) -> str:
    assert client.stdout
    line = client.stdout.readline()
    if not line.startswith(("ready", "{")):
        client.kill()
        raise WrongAnswer(f"A client failed:\n{line}{client.stdout.read()}")
    return line


@contextmanager
def _watched(bench: Bench, there: Scene, batch_id: int, tasks: int) -> Iterator[None]:
    """Say now and then how far the batch is, by a call every two seconds, which anybody's page makes too."""
    over = Event()

    def watch() -> None:
        with there.caller("viewer") as caller:
            while not over.wait(2.0):
                done = caller.get(f"/api/batches/{batch_id}")["progress"]["analysis"]["completed"]
                bench.progress.count("tasks completed", done, tasks)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(timeout=10)
