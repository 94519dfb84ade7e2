"""The embedded worker, with a small program in place of the real worker."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.server import embedded_worker
from app.server.embedded_worker import FIRST_RESTART_SECONDS, EmbeddedWorker
from tests.support.waiting import LIMIT_SECONDS, wait_until

# The last one is an operator's: the worker would take it instead of its own token.
SECRETS = ("ADMIN_TOKEN", "ADMIN_TOKEN_FILE", "DATABASE_URL", "DATABASE_URL_FILE", "INTERLOCK_TOKEN_FILE")
OBEDIENT = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
PROGRAM = """
import os, pathlib, time
{source}
note = pathlib.Path({note!r})
draft = note.with_suffix(".draft")
draft.write_text("\\n".join([str(os.getpid()), *(f"{{k}}={{v}}" for k, v in os.environ.items())]))
draft.rename(note)
time.sleep(600)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Replace the worker by a program that writes its process id and environment to the returned file."""

    def put(source: str) -> Path:
        package = tmp_path / "app" / "worker"
        package.mkdir(parents=True)
        (package / "__main__.py").write_text(PROGRAM.format(source=source, note=str(tmp_path / "note")))
        monkeypatch.setattr(embedded_worker, "ROOT", tmp_path)
        return tmp_path / "note"

    return put


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedWorker]:
    for name in SECRETS:
        monkeypatch.setenv(name, "the server's")
    for name in ("no_proxy", "NO_PROXY", "INTERLOCK_SPOOL"):
        monkeypatch.delenv(name, raising=False)
    made = EmbeddedWorker("http://127.0.0.1:1", "the worker's")
    yield made
    made.stop(0.5)


def read(note: Path) -> tuple[int, dict[str, str]]:
    """Wait for the program's note, read it and delete it."""
    wait_until(note.exists, "the start of the program")
    pid, *lines = note.read_text().splitlines()
    note.unlink()
    return int(pid), dict(line.split("=", 1) for line in lines if "=" in line)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_worker_gets_its_token_by_the_environment_and_no_secret_of_the_server(program, worker) -> None:
    note = program(OBEDIENT)
    worker.watch()
    pid, environment = read(note)
    assert environment["INTERLOCK_URL"] == "http://127.0.0.1:1"
    assert environment["INTERLOCK_TOKEN"] == "the worker's"
    assert environment["INTERLOCK_SPOOL"].endswith("/var/spool")
    assert environment["no_proxy"] == environment["NO_PROXY"] == "127.0.0.1"
    assert not environment.keys() & {*SECRETS, "PROMETHEUS_MULTIPROC_DIR"}
    assert "the worker's" not in Path(f"/proc/{pid}/cmdline").read_text()


def test_watching_a_live_worker_starts_no_second_one(program, worker) -> None:
    note = program(OBEDIENT)
    worker.watch()
    pid, _ = read(note)
    worker.watch()
    assert worker._process.pid == pid
    assert not note.exists()
    assert is_alive(pid)


def test_a_dead_worker_is_started_again_and_each_time_later(program, worker, monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr(embedded_worker, "time", SimpleNamespace(monotonic=lambda: now))
    note = program(OBEDIENT)
    worker.watch()
    for seconds in (FIRST_RESTART_SECONDS, 2 * FIRST_RESTART_SECONDS):
        process = worker._process
        pid, _ = read(note)
        os.kill(pid, signal.SIGKILL)
        assert process.wait(LIMIT_SECONDS) == -signal.SIGKILL
        worker.watch()
        now += seconds - 0.01
        worker.watch()
        assert worker._process is None
        now += 0.01
        worker.watch()
        assert worker._process.pid != pid


def test_stop_ends_the_worker_with_sigterm_and_it_stays_ended(program, worker) -> None:
    note = program(OBEDIENT)
    worker.watch()
    pid, _ = read(note)
    worker.stop(LIMIT_SECONDS)
    assert not is_alive(pid)
    worker.watch()
    assert worker._process is None
    assert not note.exists()


def test_a_worker_that_does_not_end_in_time_is_killed(program, worker) -> None:
    note = program(DEAF)
    worker.watch()
    pid, _ = read(note)
    process = worker._process
    worker.stop(0.3)
    assert not is_alive(pid)
    assert process.returncode == -signal.SIGKILL
