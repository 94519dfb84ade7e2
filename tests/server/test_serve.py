"""The server as a process: how it starts, what it survives, how it stops."""

import json
import os
import signal
import socket
import subprocess
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from app.server.web_processes import GRACE_SECONDS
from tests.support.postgres import free_port
from tests.support.process import finished
from tests.support.server import KEPT_ENVIRONMENT, LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until

# For what the processes of a server do, whatever its database.
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def serve(**settings: str) -> "subprocess.CompletedProcess[str]":
    """Run `serve` when it is expected to fail."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    given = {"HOST": "127.0.0.1", "ADMIN_TOKEN": "a long admin token", "EMBEDDED_WORKER": "0"}
    return finished("-m", "app.cli", "serve", env={**kept, **given, **settings})


def metrics_folders(server: LiveServer) -> list[Path]:
    return list(server.log.parent.glob("interlock-metrics-*"))


def web_processes(server: LiveServer, amount: int) -> list[int]:
    """Wait until there are so many web processes, and return their ids."""
    return wait_until(lambda: len(pids := server.web_pids()) == amount and pids, server.tail) or []


def gone(pid: int) -> bool:
    """Whether a process has ended. It may still be a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def embedded_worker_of(server: LiveServer) -> int:
    def found() -> list[int]:  # none while it is a fork of the server that has not become the worker
        return [pid for pid in web_processes(server, 2) if b"app.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    (pid,) = wait_until(found, server.tail)
    return pid


def get(server: LiveServer, path: str = "/readyz") -> requests.Response:
    return requests.get(f"{server.url}{path}", timeout=LIMIT_SECONDS)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_it_answers_and_its_tokens_open_what_they_should(shared_servers: SharedServers, kind: str) -> None:
    server = shared_servers(kind).server
    assert get(server, "/api/batches").status_code == 401
    with server.session() as admin, server.session("viewer") as viewer:
        made = admin.post(f"{server.url}/api/batches", json={"name": "seen"}, timeout=LIMIT_SECONDS).json()
        (seen, *_) = viewer.get(f"{server.url}/api/batches", timeout=LIMIT_SECONDS).json()["batches"]
        assert (seen["id"], seen["name"]) == (made["id"], "seen")
        assert viewer.get(f"{server.url}/api/tokens", timeout=LIMIT_SECONDS).status_code == 403


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_and_leaves_nothing(start_server, sqlite_url: str, stop_signal: signal.Signals) -> None:
    server = start_server(sqlite_url, workers=2)
    children = web_processes(server, 2)
    assert len(metrics_folders(server)) == 1
    server.process.send_signal(stop_signal)
    assert server.process.wait(LIMIT_SECONDS) == 0
    assert metrics_folders(server) == []
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_ctrl_c_reaches_every_process_and_still_stops_in_order(start_server, sqlite_url: str) -> None:
    server = start_server(sqlite_url, workers=2)
    web_processes(server, 2)
    os.killpg(server.pid, signal.SIGINT)  # as a terminal does
    assert server.process.wait(LIMIT_SECONDS) == 0


@one_database
def test_a_killed_web_process_is_replaced_while_the_others_answer(live_server: LiveServer) -> None:
    (killed,) = live_server.web_pids()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: {*live_server.web_pids()} - {killed}, live_server.tail)
    assert killed not in live_server.web_pids()
    assert get(live_server).status_code == 200


def test_the_web_processes_end_when_the_server_is_killed(start_server, sqlite_url: str) -> None:
    server = start_server(sqlite_url)
    (web,) = server.web_pids()
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(LIMIT_SECONDS)
    wait_until(lambda: gone(web), server.tail)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_servers_share_one_database(start_server, shared_servers: SharedServers, kind: str) -> None:
    first, database_url = shared_servers(kind).server, shared_servers(kind).database_url
    second = start_server(database_url, ADMIN_TOKEN=first.tokens["admin"])
    with first.session() as http:
        made = http.post(f"{first.url}/api/batches", json={"name": "shared"}, timeout=LIMIT_SECONDS).json()
        seen = http.get(f"{second.url}/api/batches/{made['id']}", timeout=LIMIT_SECONDS).json()
    assert seen.pop("usage")["cost"] == made.pop("usage")["cost"] == 0  # GET adds the sums of each model and prompt
    assert seen.pop("waiting_for") == []  # GET adds what its tasks wait for
    assert seen == made


def test_a_port_in_use_is_one_sentence_and_nothing_is_migrated(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = serve(PORT=str(port), DATABASE_URL=f"sqlite:///{tmp_path}/untouched.db")
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use.")
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "untouched.db").exists()


def test_a_database_that_is_away_is_one_sentence() -> None:
    failed = serve(PORT=str(free_port()), DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    assert failed.returncode == 1
    assert "Error: The database does not answer." in failed.stderr
    assert "Traceback" not in failed.stderr


def test_all_wrong_settings_are_named_at_once() -> None:
    failed = serve(PORT="http", WORKERS="0")
    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: Wrong settings: ")
    assert "PORT: " in failed.stderr
    assert "WORKERS: " in failed.stderr


def test_open_streams_and_waiting_workers_do_not_hold_the_stop(live_server: LiveServer) -> None:
    assert GRACE_SECONDS < 30  # had they held it, they would have been cut off, and the stream would not end whole
    with live_server.session() as http, closing(waiting_lease(live_server, 30)) as waiting:
        lines = http.get(f"{live_server.url}/api/events", stream=True, timeout=LIMIT_SECONDS).iter_lines()
        assert next(lines)
        assert live_server.stop() == 0
        lease = waiting.getresponse()
        assert (lease.status, json.loads(lease.read())) == (200, {"tasks": [], "closed": [], "probe": []})
        assert all(not line.startswith(b"event: change") for line in lines)


def waiting_lease(server: LiveServer, seconds: int) -> HTTPConnection:
    """Ask for a lease that is waited for; return when the server is at it, which its 100 Continue says."""
    connection = HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=LIMIT_SECONDS)
    body = json.dumps({"worker": "patient", "wait_seconds": seconds}).encode()
    token = server.tokens["worker"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Expect": "100-continue"}
    connection.request("POST", "/api/tasks/lease", body, headers)
    said = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert connection.sock.recv(len(said), socket.MSG_WAITALL) == said
    return connection


@one_database
def test_the_embedded_worker_sees_a_batch_through(start_server, database_url: str) -> None:
    server = start_server(database_url, EMBEDDED_WORKER="1", INTERLOCK_WAIT_SECONDS="0.5")
    order = {
        "name": "by hand",
        "documents": [{"name": "a.txt", "text": "A sentence. Another one."}],
        "prompts": [{"name": "count", "text": "Count:\n{document}"}],
        "models": [{"connection": "local", "model": "textstats"}],
    }
    with server.session() as http:
        made = http.post(f"{server.url}/api/batches", json=order, timeout=LIMIT_SECONDS).json()
        url = f"{server.url}/api/batches/{made['id']}"

        def state_now() -> str:
            return str(http.get(url, timeout=LIMIT_SECONDS).json()["state"])

        for action, state in (("stage", "STAGED"), ("run", "COMPLETED")):
            assert http.post(f"{url}/action", json={"action": action}, timeout=LIMIT_SECONDS).status_code == 200
            wait_until(lambda state=state: state_now() == state, server.tail)
        assert http.get(f"{url}/results", timeout=LIMIT_SECONDS).json()["status"] == "COMPLETED"


def test_the_embedded_worker_stops_before_the_web_processes(start_server, sqlite_url: str) -> None:
    server = start_server(sqlite_url, EMBEDDED_WORKER="1", INTERLOCK_WAIT_SECONDS="0.5")
    worker = embedded_worker_of(server)
    wait_until(lambda: '"worker_started"' in server.log.read_text(), server.tail)
    assert server.stop() == 0
    assert gone(worker)
    log = server.log.read_text()
    assert log.index('"worker_stopped"') < log.index("Worker exiting")


def test_the_embedded_worker_ends_when_the_server_is_killed(start_server, sqlite_url: str) -> None:
    server = start_server(sqlite_url, EMBEDDED_WORKER="1")
    worker = embedded_worker_of(server)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(LIMIT_SECONDS)
    wait_until(lambda: gone(worker), server.tail)
