"""The memory of a server process that has nothing to do."""

import re
from pathlib import Path
from statistics import median

from bench.api_caller import Caller
from bench.deployment import deployed
from bench.options import Bench
from bench.processor_time import children_of
from bench.results import Result

FIRST_CALLS = 50  # of each connection's first statements and of the modules that a call loads


def idle(bench: Bench) -> list[Result]:
    """The resident memory of an idle server process, and what of it no other process shares."""
    with deployed(bench) as deployment:
        for _ in range(FIRST_CALLS):
            with Caller(deployment.server.url, deployment.server.tokens["viewer"]) as caller:
                caller.get("/api/batches")
        processes = children_of(deployment.server.pid)
        resident, own = (
            [_megabytes(pid, *names) for pid in processes] for names in (("Rss",), ("Private_Dirty", "Private_Clean"))
        )
    return [
        Result(
            "memory of an idle server process",
            f"{median(resident):.0f} MB resident",
            f"of it {median(own):.0f} MB not shared with others",
        )
    ]


def _megabytes(pid: int, *names: str) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(found) for name in names for found in re.findall(rf"^{name}:\s+(\d+) kB", rollup, re.M)) / 1000
