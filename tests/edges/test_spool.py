"""A worker whose answers cannot be sent: it keeps them on disk, and the next start sends them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.edges.page_proxy import Page, PageProxy, page_proxy
from tests.edges.worker_process import ANSWERS, WorkerProcess, assert_each_answer_arrived_once, staged_batch
from tests.support.batches import Batch
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until

WITHOUT_END = 10**9

Start = Callable[..., WorkerProcess]


@pytest.fixture
def server(module_servers: SharedServers) -> LiveServer:
    return module_servers("sqlite").server


@pytest.fixture
def proxy(server: LiveServer) -> Iterator[PageProxy]:
    """A proxy that lets no report through until it relents."""
    with page_proxy(server.url) as running:
        running.interfere(Page(502), WITHOUT_END, "report", reaching=False)
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def batch(server: LiveServer) -> Iterator[Batch]:
    with server.session() as http:
        staged = staged_batch(server, http)
        staged.ask("run")
        yield staged


@pytest.fixture
def start(server: LiveServer, proxy: PageProxy, batch: Batch, spool: Path, tmp_path: Path) -> Iterator[Start]:
    """Start workers for the batch behind the proxy."""
    with ExitStack() as stack:

        def start_one(name: str, *options: str, **more: Any) -> WorkerProcess:
            every = ("--batch-id", batch.url.rpartition("/")[2], "--spool", str(spool), *options)
            worker = WorkerProcess(proxy.url, server.tokens["worker"], tmp_path / name, *every, **more)
            stack.callback(worker.close)
            return worker

        yield start_one
        proxy.relent()


def reports(spool: Path) -> list[Path]:
    return list(spool.rglob("*.report"))


def test_what_a_killed_worker_could_not_send_is_sent_by_the_next(
    server: LiveServer, proxy: PageProxy, batch: Batch, start: Start, spool: Path
) -> None:
    killed = start("killed")
    wait_until(lambda: len(reports(spool)) == ANSWERS)
    killed.process.kill()
    killed.process.wait()
    proxy.relent()
    start("next")
    assert_each_answer_arrived_once(batch, server)
    wait_until(lambda: not reports(spool))


def test_what_a_stopped_worker_could_not_send_is_sent_by_the_next(
    server: LiveServer, proxy: PageProxy, batch: Batch, start: Start, spool: Path
) -> None:
    stopped = start("stopped", "--grace-seconds", "0.2")
    wait_until(lambda: proxy.replaced["report"] and batch.show()["progress"]["analysis"]["leased"] == ANSWERS)
    stopped.process.terminate()
    assert stopped.process.wait(LIMIT_SECONDS) == 0
    assert reports(spool)
    proxy.relent()
    start("next")
    assert_each_answer_arrived_once(batch, server)


def test_an_answer_that_a_proxy_refuses_holds_no_other_and_is_kept(
    server: LiveServer, proxy: PageProxy, batch: Batch, start: Start, spool: Path
) -> None:
    proxy.interfere(Page(403), WITHOUT_END, "report", reaching=False, containing=b'{"n":7}')
    worker = start("worker")
    wait_until(lambda: "report_set_aside" in worker.log or worker.process.poll() is not None)
    wait_until(lambda: batch.show()["progress"]["analysis"]["completed"] == ANSWERS - 1)
    wait_until(lambda: len(reports(spool)) == 1)  # the files of answered reports go after the answer
    worker.process.terminate()
    assert worker.process.wait(LIMIT_SECONDS) == 0
    proxy.relent()
    start("next")
    assert_each_answer_arrived_once(batch, server)


def test_a_full_disk_costs_no_answer(
    server: LiveServer, proxy: PageProxy, batch: Batch, start: Start, spool: Path
) -> None:
    worker = start("full", file_bytes=16)
    wait_until(lambda: "spool_failed" in worker.log)
    assert worker.process.poll() is None
    proxy.relent()
    assert_each_answer_arrived_once(batch, server)
    assert worker.process.poll() is None
    assert not reports(spool)
