"""The pace of a connection: one worker, 600 requests a minute allowed, and a server that counts and would say 429."""

import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import making
from bench.options import Bench
from bench.results import Result
from bench.scene import DoesNotAddUp, Scene, scene
from tests.support.foreign_server import CAME, ForeignServer, foreign_server
from tests.support.server import ROOT

PER_MINUTE, FEWEST = 600, 540
MINUTES, MINUTE_SECONDS = 3, 60.0
LATENCY_MS = 200
SPARE_SECONDS = 5.0  # beyond the last minute, so that it is a full one


def pace(bench: Bench) -> list[Result]:
    """Let one worker call a model server for 3 full minutes; the server allows 600 calls in any 60 s."""
    minutes = bench.size(MINUTES, least=1)
    with (
        tempfile.TemporaryDirectory(prefix="interlock-bench-") as place,
        scene(bench) as there,
        foreign_server(Path(place), LATENCY_MS, PER_MINUTE) as server,
    ):
        making.large(bench, there, PER_MINUTE * (minutes + 1))
        with _worker(there, server, Path(place)):
            came = _watched(bench, server, minutes)
        refused = len(server.answered(429))
    counts = [
        bisect_left(came, came[0] + (n + 1) * MINUTE_SECONDS) - bisect_left(came, came[0] + n * MINUTE_SECONDS)
        for n in range(minutes)
    ]
    most = max(bisect_left(came, moment + MINUTE_SECONDS) - number for number, moment in enumerate(came))
    if refused:
        raise DoesNotAddUp(f"{refused} calls were answered 429")
    what = f"one worker, {PER_MINUTE} requests a minute allowed: calls in each of {minutes} minutes"
    beside = f"{most} at most in any 60 s, no 429"
    return [Result(what, ", ".join(map(str, counts)), beside, at_least=FEWEST, value=min(counts))]


@contextmanager
def _worker(there: Scene, server: ForeignServer, place: Path) -> Iterator[None]:
    """Run a worker with that limit; it is ended in order."""
    (place / "connections.toml").write_text(
        f'jsonl = "lab"\n[lab]\nbase_url = "{server.url}"\nrequests_per_minute = {PER_MINUTE}\n'
    )
    settings = {"INTERLOCK_URL": there.server.url, "INTERLOCK_TOKEN": there.server.tokens["worker"]}
    command = [sys.executable, "-m", "app.worker", "--connections", str(place / "connections.toml")]
    with (place / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()


def _watched(bench: Bench, server: ForeignServer, minutes: int) -> list[float]:
    """Wait for so many full minutes from the first call on; return when each call came."""
    until = float("inf")
    while time.monotonic() < until:
        time.sleep(1)
        came = [line.at for line in server.lines() if line.status == CAME]
        if came:
            until = came[0] + minutes * MINUTE_SECONDS + SPARE_SECONDS
            bench.progress.count("calls", len(came), PER_MINUTE * minutes)
    return [line.at for line in server.lines() if line.status == CAME]
