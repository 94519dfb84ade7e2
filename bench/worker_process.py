"""A worker that only leases and reports, as fast as it can.

Run as `python -m bench.worker_process URL BATCH AT_ONCE NAME`, with its token in the environment variable BENCH_TOKEN.
It prints `ready`, waits for a line on stdin, works until the batch has no task to lease, and prints its figures as one
line of JSON.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson

from bench.api_caller import Caller

RESULT: dict[str, Any] = {"text": "An answer.", "usage": {"input_tokens": 12, "output_tokens": 3}}


def work(caller: Caller, batch_id: int, at_once: int, name: str) -> dict[str, Any]:
    """Lease and complete tasks until there are none; return their number, the start, the end and the CPU time."""
    lease = orjson.dumps({"worker": name, "max_tasks": at_once, "batch_id": batch_id, "lease_seconds": 600})
    reported = 0
    begun_at, cpu = time.time(), time.process_time()
    while tasks := orjson.loads(caller.send("POST", "/api/tasks/lease", lease))["tasks"]:
        reports = [
            {
                "task_id": task["id"],
                "lease_token": task["lease_token"],
                "outcome": "completed",
                "result": RESULT,
            }
            for task in tasks
        ]
        answer = orjson.loads(caller.send("POST", "/api/tasks/report", orjson.dumps({"reports": reports})))
        reported += sum(report["status"] == 200 for report in answer["reports"])
    cpu_seconds = time.process_time() - cpu
    return {"reported": reported, "begun_at": begun_at, "ended_at": time.time(), "cpu_seconds": cpu_seconds}


def main() -> None:
    url, batch_id, at_once, name = sys.argv[1:]
    with Caller(url, os.environ["BENCH_TOKEN"]) as caller:
        caller.send("GET", "/healthz")
        serve(lambda: work(caller, int(batch_id), int(at_once), name))


def serve(do: Callable[[], dict[str, Any]]) -> None:
    """Say that this process is ready, wait for the parent process, do the work and print its figures."""
    print("ready", flush=True)
    if sys.stdin.readline():  # stdin ended without a line: the parent process is gone
        print(orjson.dumps(do()).decode(), flush=True)


if __name__ == "__main__":
    main()
