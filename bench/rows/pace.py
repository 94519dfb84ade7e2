"""The rate limit of a connection: one worker, and a model server that answers 429 after 600 requests in a minute."""

import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import make_batches
from bench.deployment import Deployment, DoesNotAddUp, deployed
from bench.options import Bench
from bench.results import Result
from tests.support.foreign_server import CAME, ForeignServer, foreign_server
from tests.support.process import ROOT

PER_MINUTE, MIN_CALLS = 600, 540
MINUTES, MINUTE_SECONDS = 3, 60.0
LATENCY_MS = 200
SPARE_SECONDS = 5.0  # after the last minute, so that it is complete


def pace(bench: Bench) -> list[Result]:
    """Let one worker call a model server for 3 full minutes; the server allows 600 calls in any 60 s."""
    minutes = bench.size(MINUTES, least=1)
    with (
        tempfile.TemporaryDirectory(prefix="interlock-bench-") as place,
        deployed(bench) as deployment,
        foreign_server(Path(place), LATENCY_MS, PER_MINUTE) as server,
    ):
        make_batches.large(bench, deployment, PER_MINUTE * (minutes + 1))
        with _worker(deployment, server, Path(place)):
            came = _wait_for_calls(bench, server, minutes)
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
    return [Result(what, ", ".join(map(str, counts)), beside, at_least=MIN_CALLS, value=min(counts))]


@contextmanager
def _worker(deployment: Deployment, server: ForeignServer, place: Path) -> Iterator[None]:
    """Run a worker with that limit, and stop it with SIGTERM."""
    (place / "connections.toml").write_text(
        f'jsonl = "lab"\n[lab]\nbase_url = "{server.url}"\nrequests_per_minute = {PER_MINUTE}\n'
    )
    settings = {"INTERLOCK_URL": deployment.server.url, "INTERLOCK_TOKEN": deployment.server.tokens["worker"]}
    command = [sys.executable, "-m", "app.worker", "--connections", str(place / "connections.toml")]
    with (place / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()


def _wait_for_calls(bench: Bench, server: ForeignServer, minutes: int) -> list[float]:
    """Wait for the given full minutes from the first call on; return the time of each call."""
    until = float("inf")
    while time.monotonic() < until:
        time.sleep(1)
        came = [line.at for line in server.lines() if line.status == CAME]
        if came:
            until = came[0] + minutes * MINUTE_SECONDS + SPARE_SECONDS
            bench.progress.count("calls", len(came), PER_MINUTE * minutes)
    return [line.at for line in server.lines() if line.status == CAME]
