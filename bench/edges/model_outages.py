"""A model server fails for a minute in the middle of 2,000 tasks, in six ways; another one lets nobody in."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.schema import migrate
from bench.edges.options import Edges
from bench.results import Result
from tests.edges.failing_server import FailingServer
from tests.edges.lab import Lab, attempts, running_lab, tries
from tests.support.server import running_server
from tests.support.waiting import wait_until

DOCUMENTS = 1_000  # each for two connections
LATENCY_SECONDS = 0.3  # so that the steady connection has tasks for all of the outage
GOOD_CALLS = 100
MOST_SECONDS_AFTERWARDS = 30
WAYS: dict[str, Any] = {"refuses": "refuse", "resets": "reset", "hangs": "hang", "500": 500, "503": 503, "429": 429}
DENIED = (401, {"error": {"message": "Incorrect API key provided."}})


def model_outages(edges: Edges) -> list[Result]:
    """A model server fails in six ways while another one is used by the same batch; a third one lets nobody in."""
    return [result for name in WAYS for result in _outage(edges, name)] + _denied(edges)


@contextmanager
def _lab(**servers: FailingServer) -> Iterator[Lab]:
    with TemporaryDirectory(prefix="interlock-edges-") as folder:
        url = f"sqlite:///{folder}/interlock.db"
        migrate(url)
        with running_server(url) as service, running_lab(service, Path(folder), servers) as lab:
            yield lab


def _outage(edges: Edges, name: str) -> list[Result]:
    edges.progress.say(f"a model server {name} for {edges.outage_seconds} s")
    failing = FailingServer(WAYS[name], GOOD_CALLS, LATENCY_SECONDS)
    steady = FailingServer(latency_seconds=LATENCY_SECONDS)
    with _lab(failing=failing, steady=steady) as lab:
        batch = lab.batch([f"document {number}" for number in range(DOCUMENTS)], ["failing", "steady"])
        wait_until(lambda: failing.failed, "the begin of the outage")
        began = time.monotonic()
        wait_until(lambda: lab.circuits().get("failing", {}).get("state") == "closed", "a closed circuit")
        closed = time.monotonic()
        time.sleep(max(began + edges.outage_seconds - time.monotonic(), 0.0))
        failing.recover()
        ended = time.monotonic()
        wait_until(lambda: failing.begun_at[-1] > ended, "a call after the outage")
        batch.reach("COMPLETED")
        first_try = sum(row == ("COMPLETED", 1) for row in tries(batch))
    probes = Counter(int(at - closed) for at in failing.begun_at if closed < at < ended)
    resumed = next(at for at in failing.begun_at if at > ended) - ended
    ratio = _rate(steady, began, ended) / _rate(steady, steady.begun_at[0], began)
    what = f"a model server {name} for {edges.outage_seconds} s"
    return [
        Result(f"{what}: tasks done at the first attempt", f"{first_try} of {2 * DOCUMENTS}", value=first_try,
               at_least=2 * DOCUMENTS),
        Result(f"{what}: it is called again", f"after {resumed:.1f} s", value=resumed, at_most=MOST_SECONDS_AFTERWARDS),
        Result(f"{what}: calls in a second while it is closed", f"{max(probes.values(), default=0)} at most",
               f"{probes.total()} in all", value=max(probes.values(), default=0), at_most=1),
        Result(f"{what}: rate of another connection", f"{_rate(steady, began, ended):.1f}/s",
               f"{_rate(steady, steady.begun_at[0], began):.1f}/s before", ratio, at_least=0.95),
    ]  # fmt: skip


def _rate(server: FailingServer, since: float, until: float) -> float:
    """Count the calls in a second, up to the last one."""
    within = [at for at in takewhile(lambda at: at < until, server.begun_at) if at >= since]
    return (len(within) - 1) / (within[-1] - within[0])


def _denied(edges: Edges) -> list[Result]:
    edges.progress.say("a model server answers 401 to every call")
    denying = FailingServer(DENIED)
    with _lab(denying=denying, steady=FailingServer()) as lab:
        batch = lab.batch([f"document {number}" for number in range(DOCUMENTS)], ["denying", "steady"])
        batch.reach("PAUSED")
        reason = batch.list_all("audit")[-1]["reason"]
        unharmed = attempts(batch) == {("COMPLETED", 1), ("QUEUED", 0)}
    calls = denying.calls.total()
    what = "401 for every call: calls until the batch is PAUSED"
    return [Result(what, str(calls), reason, value=calls if unharmed else calls + 1_000, at_most=10)]
