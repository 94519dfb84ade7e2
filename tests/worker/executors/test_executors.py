"""Executors other than threads: processes and a Dask cluster, and what happens to tasks when parts are killed."""

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.db import make_engine
from app.worker import Task
from app.worker.executors.process_executor import ProcessExecutor
from config import Config
from tests.support.effort import effort
from tests.support.postgres import free_port
from tests.support.process import ROOT, PythonProcess
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker import sample_handlers
from tests.worker.conftest import StartWorker
from tests.worker.fake_service import FakeService

HANDLERS = ("--handler", "jsonl=tests.worker.sample_handlers:quick_line")
TASKS = effort(test=1_000, soak=5_000)  # the last of three kills meets 700 that are not done


def task(number: int, **payload: Any) -> Task:
    return Task(str(number), 1, 1, "ANALYZE", 1, payload)


def runs_tasks(process: psutil.Process) -> bool:
    """Whether it is a process of loky and not its resource tracker. One that has ended, or is a zombie, runs none."""
    try:
        return "popen_loky" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # psutil.ZombieProcess is one of it
        return False


def children_of(pid: int) -> list[psutil.Process]:
    """List the processes that run tasks."""
    return [child for child in psutil.Process(pid).children() if runs_tasks(child)]


# --- processes


@pytest.fixture
def processes() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor()
    yield made
    made.shutdown(wait=False)


def test_a_process_that_dies_ends_no_other_task(processes: ProcessExecutor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waiting = processes.submit(sample_handlers.gated, task(1, gate=str(gate)))
    dying = processes.submit(sample_handlers.dies_once, task(2, mark=str(tmp_path / "mark")))
    assert isinstance(dying.exception(LIMIT_SECONDS), BrokenExecutor)
    gate.touch()
    assert waiting.result(LIMIT_SECONDS) == {"text": "answer to 1"}
    dying = processes.submit(sample_handlers.dies_once, task(2, mark=str(tmp_path / "mark")))
    assert dying.result(LIMIT_SECONDS) == {"text": "survived"}


def test_a_process_that_is_free_has_the_next_task(processes: ProcessExecutor) -> None:
    pids = {processes.submit(sample_handlers.whose_process, task(n)).result(LIMIT_SECONDS)["pid"] for n in range(5)}
    assert len(pids) == 1
    assert pids != {os.getpid()}


def test_a_process_killed_while_it_has_nothing_to_do(processes: ProcessExecutor) -> None:
    pid = processes.submit(sample_handlers.whose_process, task(1)).result(LIMIT_SECONDS)["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pid))
    (only,) = processes._free
    wait_until(lambda: only._flags.broken)  # a task submitted before this would lose an attempt
    assert processes.submit(sample_handlers.whose_process, task(2)).result(LIMIT_SECONDS)["pid"] != pid


def test_a_signal_to_the_whole_group_ends_no_task(
    service: FakeService, start_worker: StartWorker, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    service.add(2, connection="test", model="m", gate=str(gate))
    worker = start_worker(
        "--executor", "processes", "--concurrency", "2", "--grace-seconds", "60",
        "--handler", "test=tests.worker.sample_handlers:gated",
    )  # fmt: skip
    wait_until(lambda: len(children_of(worker.pid)) == 2 and all_ready(worker.pid))
    processes = children_of(worker.pid)
    for process in (psutil.Process(worker.pid), *processes):
        process.send_signal(signal.SIGTERM)
    gate.touch()
    assert worker.wait(LIMIT_SECONDS) == 0
    assert service.statuses() == {"COMPLETED": 2}
    psutil.wait_procs(processes, timeout=LIMIT_SECONDS)
    assert not any(process.is_running() for process in processes)


def all_ready(pid: int) -> bool:
    """Whether every process ignores signals already."""
    ignored = [re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{p.pid}/status").read_text()) for p in children_of(pid)]
    return all(found and int(found[1], 16) >> (signal.SIGTERM - 1) & 1 for found in ignored)


@pytest.mark.parametrize(
    ("signals", "exit_code"),
    [([signal.SIGTERM], 0), ([signal.SIGTERM] * 2, 128 + signal.SIGTERM), ([signal.SIGKILL], -signal.SIGKILL)],
    ids=["in order", "at once", "killed"],
)
def test_no_end_of_the_worker_leaves_a_process_behind(
    service: FakeService, start_worker: StartWorker, signals: list[int], exit_code: int
) -> None:
    service.add(3)
    worker = start_worker(
        "--executor", "processes", "--concurrency", "2", "--handler", "test=tests.worker.sample_handlers:deaf",
        "--grace-seconds", "60" if len(signals) > 1 else "1",
    )  # fmt: skip
    wait_until(lambda: len(children_of(worker.pid)) == 2 and all_ready(worker.pid))
    processes = psutil.Process(worker.pid).children(recursive=True)
    first, *second = signals
    worker.send_signal(first)
    for number in second:
        service.wait_for(lambda: service.calls["release"])  # the first signal was handled
        worker.send_signal(number)
    assert worker.wait(LIMIT_SECONDS) == exit_code
    psutil.wait_procs(processes, timeout=LIMIT_SECONDS)
    assert not any(process.is_running() for process in processes)


# --- against the service itself


def batch_of_lines(server: LiveServer, amount: int) -> str:
    """Make a batch of so many lines that is ANALYZING; return its address."""
    with server.session() as http:
        lines = "\n".join(
            f'{{"custom_id":"{n}","method":"POST","url":"/v1/responses","body":{{"model":"m","n":{n}}}}}'
            for n in range(amount)
        )
        headers = {"Content-Type": "application/jsonl"}
        made = http.post(f"{server.url}/api/batches?name=lines", data=lines, headers=headers, timeout=LIMIT_SECONDS)
        made.raise_for_status()
        url = f"{server.url}/api/batches/{made.json()['id']}"
        http.post(f"{url}/action", json={"action": "stage"}, timeout=LIMIT_SECONDS).raise_for_status()
        wait_until(lambda: http.get(url, timeout=LIMIT_SECONDS).json()["state"] == "STAGED")
        http.post(f"{url}/action", json={"action": "run"}, timeout=LIMIT_SECONDS).raise_for_status()
    return url


def completed(server: LiveServer, url: str) -> int:
    with server.session() as http:
        batch = http.get(url, timeout=LIMIT_SECONDS).json()
    assert batch["failure"] is None, batch
    return int(batch["progress"]["analysis"]["completed"])


def each_is_completed_once(server: LiveServer, url: str, database_url: str, amount: int) -> None:
    """Wait until the batch is COMPLETED; then each task has its own answer, and no answer was reported twice."""
    with server.session() as http:
        wait_until(lambda: http.get(url, timeout=LIMIT_SECONDS).json()["state"] == "COMPLETED")
        lines = http.get(f"{url}/results", timeout=LIMIT_SECONDS).text.splitlines()
    results = [json.loads(line)["result"] for line in lines]
    assert sorted(result["n"] for result in results) == [*range(amount)]
    engine = make_engine(Config(database_url=database_url))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM late_results").scalar() == 0
    engine.dispose()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., PythonProcess]]:
    """Start Python programs in the project's folder, each with its own log. All are killed at the end."""
    started: list[PythonProcess] = []

    def start_program(*arguments: str, **environment: str) -> PythonProcess:
        settings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        started.append(PythonProcess(*arguments, env=settings, output=tmp_path / f"log-{len(started)}"))
        return started[-1]

    yield start_program
    for process in started:
        process.kill()
        process.wait()


def start_worker_of(server: LiveServer, start: Any, *options: str) -> PythonProcess:
    process: PythonProcess = start(
        "-m", "app.worker", *HANDLERS, *options, INTERLOCK_URL=server.url, INTERLOCK_TOKEN=server.tokens["worker"]
    )
    return process


@pytest.mark.soak
def test_processes_are_killed_and_every_task_is_completed_once(
    live_server: LiveServer, database_url: str, start: Any
) -> None:
    url = batch_of_lines(live_server, TASKS)
    worker = start_worker_of(live_server, start, "--executor", "processes", "--concurrency", "3", "--prefetch", "50")
    for reached in (TASKS // 10, TASKS // 5, TASKS * 3 // 10):
        wait_until(lambda reached=reached: completed(live_server, url) >= reached)
        for process in children_of(worker.pid)[:1]:
            process.kill()
    each_is_completed_once(live_server, url, database_url, TASKS)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LIMIT_SECONDS) == 0


# --- a Dask cluster


def start_scheduler(start: Any, port: int) -> PythonProcess:
    process: PythonProcess = start(
        "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"
    )
    return process


def start_machine(start: Any, port: int) -> PythonProcess:
    process: PythonProcess = start(
        "-m", "dask", "worker", f"tcp://127.0.0.1:{port}", "--host", "127.0.0.1", "--no-nanny", "--nthreads", "2",
        "--no-dashboard", "--death-timeout", "60",
    )  # fmt: skip
    return process


def listens(port: int) -> bool:
    return any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in psutil.net_connections("tcp4"))


@pytest.mark.soak
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # a cluster knows no database; half a minute
def test_a_machine_of_the_cluster_is_killed_and_every_task_is_completed_once(
    live_server: LiveServer, database_url: str, start: Any
) -> None:
    port = free_port()
    start_scheduler(start, port)
    killed, _ = start_machine(start, port), start_machine(start, port)
    url = batch_of_lines(live_server, TASKS)
    wait_until(lambda: listens(port))
    scheduler = f"tcp://127.0.0.1:{port}"
    worker = start_worker_of(
        live_server, start, "--executor", "dask", "--scheduler", scheduler, "--concurrency", "50", "--prefetch", "10"
    )
    wait_until(lambda: completed(live_server, url) >= TASKS // 10)
    killed.kill()
    each_is_completed_once(live_server, url, database_url, TASKS)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LIMIT_SECONDS) == 0


@pytest.mark.soak
def test_a_lost_scheduler_is_waited_for(sqlite_url: str, start_server: Any, start: Any) -> None:
    server = start_server(sqlite_url)
    port = free_port()
    scheduler = start_scheduler(start, port)
    machine = start_machine(start, port)
    url = batch_of_lines(server, TASKS)
    wait_until(lambda: listens(port))
    worker = start_worker_of(
        server, start, "--executor", "dask", "--scheduler", f"tcp://127.0.0.1:{port}", "--concurrency", "10"
    )
    wait_until(lambda: completed(server, url) >= TASKS // 10)
    scheduler.kill()
    machine.kill()
    with server.session() as http:  # tasks that cannot run are not held
        wait_until(lambda: http.get(url, timeout=LIMIT_SECONDS).json()["progress"]["analysis"]["leased"] == 0)
    start_scheduler(start, port)
    start_machine(start, port)
    each_is_completed_once(server, url, sqlite_url, TASKS)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LIMIT_SECONDS) == 0
