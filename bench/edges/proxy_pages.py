"""A proxy answers in the service's place while a worker reports: each answer arrives, once, and the worker lives."""

import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from app.schema import migrate
from bench.edges.options import Edges
from bench.results import Result
from tests.edges.page_proxy import Page, PageProxy, page_proxy
from tests.edges.worker_process import LINE, WorkerProcess
from tests.support.batches import Batch
from tests.support.server import LiveServer, running_server
from tests.support.waiting import LIMIT_SECONDS, wait_until

ANSWERS = 200
WITHOUT_END = 10**9
CALLS = ("lease", "report", "heartbeat", "release")
MOST_SECONDS_AFTERWARDS = 30
PAGES = {
    "404": Page(404),
    "403": Page(403),
    "302": Page(302, headers={"Location": "http://127.0.0.1:1/sign-in"}),
    "405": Page(405),
    "200 with a page": Page(200),
    "502": Page(502),
}


def proxy_pages(edges: Edges) -> list[Result]:
    """200 answers are reported while a proxy answers with pages of its own; every second call reaches the service."""
    with TemporaryDirectory(prefix="interlock-edges-") as folder:
        url = f"sqlite:///{folder}/interlock.db"
        migrate(url)
        with running_server(url) as server, page_proxy(server.url) as proxy:
            # A lease whose answer the proxy replaced has to run out before its tasks are leased again.
            options = ("--lease-seconds", "10")
            worker = WorkerProcess(proxy.url, server.tokens["worker"], Path(folder, "worker.log"), *options)
            try:
                return [result for name in PAGES for result in _one(edges, server, proxy, worker, name)]
            finally:
                proxy.relent()
                worker.close()


def _one(edges: Edges, server: LiveServer, proxy: PageProxy, worker: WorkerProcess, name: str) -> list[Result]:
    edges.progress.say(f"a proxy answers with {name} for {edges.page_seconds} s")
    with server.session() as http:
        batch = Batch(server, http, lines="".join(LINE % (number, number) for number in range(ANSWERS)).encode())
        batch.ask("stage")
        batch.reach("STAGED")
        proxy.interfere(PAGES[name], WITHOUT_END, "report", "heartbeat", "release")
        batch.ask("run")
        wait_until(lambda: proxy.replaced["report"], "a report that meets the page")
        replaced = Counter(proxy.replaced)
        proxy.interfere(PAGES[name], WITHOUT_END, *CALLS)
        time.sleep(edges.page_seconds)
        replaced += proxy.replaced
        proxy.relent()
        began = time.monotonic()
        wait_until(lambda: batch.show()["state"] == "COMPLETED" or worker.process.poll() is not None)
        seconds = time.monotonic() - began
        lives = worker.process.poll() is None
        arrived = _arrived_once(server, http, batch)
    met = ", ".join(f"{amount} {call}s" for call, amount in sorted(replaced.items()))
    return [
        Result(
            f"a proxy answers {name} for {edges.page_seconds} s: answers that arrived, each once",
            f"{arrived} of {ANSWERS}",
            f"met the page: {met}; the worker {'lives' if lives else 'ended'}",
            value=arrived if lives else 0,
            at_least=ANSWERS,
        ),
        Result(
            f"a proxy answers {name}: all is done after it is over",
            f"{seconds:.1f} s",
            value=seconds,
            at_most=MOST_SECONDS_AFTERWARDS,
        ),
    ]


def _arrived_once(server: LiveServer, http: requests.Session, batch: Batch) -> int:
    answers = Counter(line["result"]["n"] for line in batch.results() if line["status"] == "COMPLETED")
    tasks = [
        http.get(f"{server.url}/api/tasks/{task['id']}", timeout=LIMIT_SECONDS) for task in batch.list_all("tasks")
    ]
    late = sum(len(task.json()["late_results"]) for task in tasks)
    return sum(amount == 1 for amount in answers.values()) - late
