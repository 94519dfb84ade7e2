"""Runs the load generator wrk on a list of requests, and reads its counts."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.options import CONNECTIONS, LOAD_THREADS
from tests.support.server import LiveServer

SCRIPT = Path(__file__).with_name("load.lua")
LAST_ANSWERS_SECONDS = 1  # after the measured time, for the last answers
START_SECONDS = 30
ANSWER_TIMEOUT_SECONDS = 30


class NoLoadGenerator(RuntimeError):
    """A program that generates load is missing. The message says how to install it."""


class BadLoad(RuntimeError):
    """Some requests failed, or had no answer."""


@dataclass(frozen=True)
class Load:
    """The counts of one run of wrk. `ok` counts the answers 200, `queued` the answers 202."""

    sent: int
    answered: int
    ok: int
    queued: int
    other: int
    errors: int
    elapsed_seconds: float
    p50_ms: float
    p99_ms: float
    example: str

    @property
    def per_second(self) -> float:
        return (self.ok + self.queued) / self.elapsed_seconds


def find_wrk() -> str:
    """Find wrk. Raises NoLoadGenerator."""
    found = shutil.which("wrk")
    if found is None:
        raise NoLoadGenerator("The load generator wrk is missing. On Debian and Ubuntu: apt-get install wrk")
    return found


def request_line(path: str, *bodies: object) -> str:
    """Write a request for `load`: a GET without bodies, else a POST of each JSON body in turn."""
    return "\t".join([path, *(json.dumps(body) for body in bodies)]) if bodies else f"{path}\t"


def load(server: LiveServer, role: str, lines: Iterable[str], seconds: int, once: bool = False) -> Load:
    """Send the requests in turn over 8 connections for the given seconds; with `once`, each at most once.

    Raises BadLoad when a request has no answer, or an answer that is neither 200 nor 202.
    """
    with tempfile.NamedTemporaryFile("w", prefix="interlock-load-", suffix=".tsv") as requests:
        requests.writelines(f"{line}\n" for line in lines)
        requests.flush()
        whole = seconds + LAST_ANSWERS_SECONDS
        command = [find_wrk(), f"-t{LOAD_THREADS}", f"-c{CONNECTIONS}", f"-d{whole}s"]
        command += ["--timeout", f"{ANSWER_TIMEOUT_SECONDS}s", "-s", str(SCRIPT), server.url, "--"]
        command += [requests.name, str(seconds), "1" if once else "0", str(LOAD_THREADS)]
        ran = subprocess.run(
            command,
            env={**os.environ, "BENCH_TOKEN": server.tokens[role]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=whole + START_SECONDS,
            start_new_session=True,  # Ctrl-C reaches only the benchmark, which then ends its child processes
        )
    result = next((line for line in ran.stdout.splitlines() if line.startswith("RESULT ")), None)
    if ran.returncode or result is None:
        raise BadLoad(f"wrk ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    counted = Load(**json.loads(result.removeprefix("RESULT ")))
    if counted.other or counted.errors or counted.answered != counted.sent:
        raise BadLoad(f"Some requests failed: {counted}")
    return counted
