"""A proxy between worker and service that answers in the service's place, and a proxy named in the environment."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.edges.page_proxy import Page, PageProxy, page_proxy
from tests.edges.worker_process import WorkerProcess, assert_each_answer_arrived_once, staged_batch
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until

PROBLEM = "application/problem+json"
FAULT = {"type": "urn:interlock:problem:internal_error", "code": "internal_error", "status": 500, "detail": "A fault."}
PAGES = {
    "404": Page(404),
    "403": Page(403),
    "401": Page(401),
    "302": Page(302, headers={"Location": "http://127.0.0.1:1/sign-in"}),
    "405": Page(405),
    "502": Page(502),
    "413": Page(413),
    "a fault of the service": Page(500, orjson.dumps(FAULT).decode(), PROBLEM),
    "422": Page(422, '{"detail": "no"}', "application/json"),
    "200 with a page": Page(200),
    "200 with other JSON": Page(200, '{"reports": [], "tasks": [7], "leases": null}', "application/json"),
    "another product's problem": Page(404, '{"status": 404, "code": "not_found", "detail": "no"}', PROBLEM),
}


@pytest.fixture(scope="module")
def server(module_servers: SharedServers) -> LiveServer:
    return module_servers("sqlite").server


@pytest.fixture(scope="module")
def proxy(server: LiveServer) -> Iterator[PageProxy]:
    with page_proxy(server.url) as running:
        yield running


@pytest.fixture(scope="module")
def worker(server: LiveServer, proxy: PageProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker, which meets one page after the other. The environment names a proxy that does not exist."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
    log = tmp_path_factory.mktemp("worker") / "log"
    running = WorkerProcess(proxy.url, server.tokens["worker"], log, **nowhere)
    yield running
    proxy.relent()
    running.close()


def test_a_proxy_of_the_environment_is_not_used_for_a_service_on_this_machine(
    server: LiveServer, worker: WorkerProcess
) -> None:
    with server.session() as http:
        batch = staged_batch(server, http)
        batch.ask("run")
        assert_each_answer_arrived_once(batch, server)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_a_proxy_is_no_answer(server: LiveServer, proxy: PageProxy, worker: WorkerProcess, name: str) -> None:
    """Leases are interfered with before there are tasks: a lost grant costs an attempt, as the protocol says."""

    def ended() -> bool:
        return worker.process.poll() is not None

    with server.session() as http:
        batch = staged_batch(server, http)
        proxy.interfere(PAGES[name], 2, "lease")
        wait_until(lambda: proxy.replaced["lease"] == 2 or ended())
        proxy.interfere(PAGES[name], 3, "report", "heartbeat")
        batch.ask("run")
        wait_until(lambda: batch.show()["state"] == "COMPLETED" or ended())
        assert not ended(), worker.log
        assert_each_answer_arrived_once(batch, server)
    assert proxy.replaced["report"] == 3


def test_a_token_that_the_service_refuses_still_ends_the_worker(proxy: PageProxy, tmp_path: Path) -> None:
    proxy.relent()
    worker = WorkerProcess(proxy.url, "no-such-token", tmp_path / "log")
    try:
        assert worker.process.wait(LIMIT_SECONDS) == 2
    finally:
        worker.close()
    assert "does not accept this token" in worker.log
