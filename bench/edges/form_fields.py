"""A form of 4 MiB, in fields without a value, from somebody without a token."""

import time
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryDirectory

import requests

from app.schema import migrate
from bench.edges.options import Edges
from bench.results import Result
from tests.support.process_memory import measured_memory
from tests.support.server import LiveServer, running_server
from tests.support.waiting import LIMIT_SECONDS

FORM = b"a=&" * (4 * 1024 * 1024 // 3)
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
PATHS = ("/sign-in", "/batches/new")
MOST_MB, MOST_SECONDS = 64, 2
AT_ONCE = 16


def form_fields(edges: Edges) -> list[Result]:
    """4 MiB of form fields without a token, by one caller and by 16 at once."""
    with TemporaryDirectory(prefix="interlock-edges-") as folder:
        url = f"sqlite:///{folder}/interlock.db"
        migrate(url)
        with running_server(url) as server:
            return [
                result for path in PATHS for callers in (1, AT_ONCE) for result in _sent(edges, server, path, callers)
            ]


def _sent(edges: Edges, server: LiveServer, path: str, callers: int) -> list[Result]:
    edges.progress.say(f"{callers} x 4 MiB of form fields to {path}")
    with measured_memory(server.web_pids()) as memory, ThreadPoolExecutor(callers) as pool:
        began = time.monotonic()
        statuses = list(pool.map(lambda _: _post(server.url + path), range(callers)))
        seconds = time.monotonic() - began
    what = f"{callers} x 4 MiB of form fields to {path}"
    answers = f"answered with {sorted(set(statuses))}"
    return [
        Result(f"{what}: memory", f"{memory.grown_mb:.1f} MB", answers, value=memory.grown_mb, at_most=MOST_MB),
        Result(f"{what}: time", f"{seconds:.2f} s", value=seconds, at_most=MOST_SECONDS),
    ]


def _post(url: str) -> int:
    """Post the form; 0 if the service closed the connection before it was sent."""
    try:
        return requests.post(url, data=FORM, headers=HEADERS, timeout=LIMIT_SECONDS, allow_redirects=False).status_code
    except requests.ConnectionError:
        return 0
