"""A server process as an operator starts it, for tests and benchmarks: `python -m app.cli serve`."""

import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import requests

from tests.support.databases import NewDatabase
from tests.support.postgres import free_port
from tests.support.process import PythonProcess
from tests.support.waiting import LIMIT_SECONDS, wait_until

ROLES = ("viewer", "operator", "worker", "admin")
KEPT_ENVIRONMENT = {"PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "PYTHONWARNINGS"}


@dataclass
class LiveServer:
    """A running server: its address, a token for each role, its process, and the file with what it prints."""

    url: str
    process: "PythonProcess | subprocess.Popen[bytes]"
    log: Path
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.process.pid

    def web_pids(self) -> list[int]:
        """List the process ids of its web processes (and of its embedded worker, where it has one)."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    def session(self, role: str = "admin") -> requests.Session:
        """Open an HTTP session that carries the token of a role. The caller closes it."""
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.tokens[role]}"
        return session

    def stop(self) -> int:
        """Stop it as an operator does, with SIGTERM, and return its exit code; kill it when it stays."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"The server did not stop.\n{self.tail()}") from None

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


@dataclass(frozen=True)
class Shared:
    """A server that tests use one after the other, and its database."""

    server: LiveServer
    database_url: str


StartServer = Callable[..., LiveServer]
SharedServers = Callable[..., Shared]


def wait_until_ready(server: LiveServer) -> None:
    """Wait for /readyz; raises AssertionError with the log when the server dies or is not ready in time."""

    def ready() -> bool:
        assert server.process.poll() is None, f"The server ended before it was ready.\n{server.tail()}"
        try:
            return requests.get(f"{server.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False  # it does not listen yet

    wait_until(ready, lambda: f"a server that is ready\n{server.tail()}")


def _make_tokens(server: LiveServer, admin_token: str) -> None:
    server.tokens["admin"] = admin_token
    with server.session() as http:
        for role in ROLES[:-1]:
            made = http.post(
                f"{server.url}/api/tokens",
                json={"name": f"{role} at {server.url}", "role": role},
                timeout=LIMIT_SECONDS,
            )
            made.raise_for_status()
            server.tokens[role] = made.json()["token"]


@contextmanager
def running_server(
    database_url: str,
    workers: int = 1,
    port: int | None = None,
    start: Callable[..., "PythonProcess | subprocess.Popen[bytes]"] = PythonProcess,
    **environment: str,
) -> Iterator[LiveServer]:
    """Run a server without an embedded worker; further settings by keyword, as `SWEEPER="0"`.

    Ends with SIGTERM, unless the server was ended before; any exit code but 0 is then an AssertionError.
    """
    admin_token = environment.pop("ADMIN_TOKEN", secrets.token_urlsafe(32))
    port = port or free_port()
    settings = {
        **{name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT},
        "DATABASE_URL": database_url,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "ADMIN_TOKEN": admin_token,
        "WORKERS": str(workers),
        "EMBEDDED_WORKER": "0",
        **environment,
    }
    with tempfile.TemporaryDirectory(prefix="interlock-server-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "log")
        settings["TMPDIR"] = folder  # a server that is killed cannot clear up behind itself
        process = start("-m", "app.cli", "serve", env=settings, output=log)
        server = LiveServer(f"http://127.0.0.1:{port}", process, log)
        try:
            wait_until_ready(server)
            _make_tokens(server, admin_token)
            yield server
        finally:
            ended_before = process.poll() is not None
            exit_code = server.stop()
            assert ended_before or exit_code == 0, f"The server ended with {exit_code}.\n{server.tail()}"


class FolderServers:
    """The servers that the tests of a folder share: a server costs the processor something as long as it runs.

    `end` is called when the tests of another folder come.
    """

    def __init__(self, new_database: NewDatabase) -> None:
        self._new_database = new_database
        self._running = ExitStack()
        self._begin()

    def _begin(self) -> None:
        self.servers = servers_once(self._new_database, self._running)
        self.with_worker = cache(self._with_worker)

    def _with_worker(self) -> LiveServer:
        url = self._running.enter_context(self._new_database("sqlite"))
        allowed = "127.0.0.1/32"
        return self._running.enter_context(
            running_server(url, EMBEDDED_WORKER="1", INTERLOCK_WAIT_SECONDS="0.5", WEBHOOK_ALLOWED_NETWORKS=allowed)
        )

    def end(self) -> None:
        """Stop them all; the next ones are started when they are asked for."""
        try:
            self._running.close()
        finally:
            self._begin()


def servers_once(new_database: NewDatabase, running: ExitStack) -> SharedServers:
    """Make what starts a server on a kind of database once, and gives the one that runs from then on."""

    @cache
    def start(kind: str, workers: int = 1) -> Shared:
        url = running.enter_context(new_database(kind))
        return Shared(running.enter_context(running_server(url, workers)), url)

    return start
