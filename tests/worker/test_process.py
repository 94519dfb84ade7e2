"""The worker as an operator runs it: a process with options, a token, signals and an exit code."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.worker.__main__ import main
from tests.support.process import ROOT, finished
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.conftest import WORKER_LOG, StartWorker
from tests.worker.fake_service import FakeService

SLOW = ("--handler", "test=tests.worker.sample_handlers:slow")
GATED = ("--handler", "test=tests.worker.sample_handlers:gated")
DEAF = ("--handler", "test=tests.worker.sample_handlers:deaf")


def command(
    *options: str, program: tuple[str, str] = ("-m", "app.worker"), **environment: str
) -> "subprocess.CompletedProcess[str]":
    settings = {k: v for k, v in os.environ.items() if not k.startswith(("INTERLOCK_", "OPENAI_"))} | environment
    return finished(*program, *options, env=settings)


def marks(folder: Path) -> Path:
    """The folder in which each task writes a file when it begins."""
    found = folder / "begun"
    found.mkdir(exist_ok=True)
    return found


def test_sigterm_hands_back_what_has_not_begun_and_reports_what_runs(
    service: FakeService, start_worker: StartWorker, tmp_path: Path
) -> None:
    service.add(12, connection="test", model="m", seconds=3.0, begun=str(marks(tmp_path)))
    process = start_worker(*SLOW, "--concurrency", "2", "--prefetch", "5")
    wait_until(lambda: len(list(marks(tmp_path).iterdir())) == 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_SECONDS) == 0
    assert service.statuses() == {"COMPLETED": 2, "QUEUED": 10}
    assert sum(task.attempt for task in service.tasks.values()) == 2
    assert sum(len(body["leases"]) for body in service.calls["release"]) == 10


def test_sigint_stops_an_idle_worker_soon(service: FakeService, start_worker: StartWorker) -> None:
    process = start_worker("--wait-seconds", "1")
    service.wait_for(lambda: service.calls["lease"])
    asked = len(service.calls["lease"])
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_SECONDS) == 0
    assert len(service.calls["lease"]) <= asked + 1  # no further than the call that was under way
    assert set(service.calls) == {"lease"}  # it had nothing to hand back and nothing to report


def test_a_handler_that_does_not_end_does_not_hold_the_process(
    service: FakeService, start_worker: StartWorker, tmp_path: Path
) -> None:
    service.add(3, connection="test", model="m", begun=str(marks(tmp_path)))
    process = start_worker(*DEAF, "--concurrency", "1", "--grace-seconds", "1")
    wait_until(lambda: list(marks(tmp_path).iterdir()))
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_SECONDS) == 0  # which is less than the handler takes
    assert service.statuses() == {"QUEUED": 3}
    assert service.calls["report"] == []


def test_a_second_signal_ends_it_at_once(service: FakeService, start_worker: StartWorker, tmp_path: Path) -> None:
    service.add(3, connection="test", model="m", begun=str(marks(tmp_path)))
    process = start_worker(*DEAF, "--concurrency", "1", "--grace-seconds", str(2 * LIMIT_SECONDS))
    wait_until(lambda: list(marks(tmp_path).iterdir()))
    process.send_signal(signal.SIGTERM)
    service.wait_for(lambda: service.calls["release"])
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGTERM  # which is less than the grace time
    assert service.calls["report"] == []


def test_a_worker_that_is_killed_loses_its_leases_and_another_does_the_work(
    service: FakeService, start_worker: StartWorker
) -> None:
    service.lease_seconds = 2.0
    service.add(6, connection="test", model="m", seconds=0.2)
    first = start_worker(*DEAF, "--concurrency", "2")
    service.wait_for(lambda: service.statuses().get("LEASED") == 6)
    first.kill()
    start_worker(*SLOW)
    service.wait_until_finished()
    assert [len(task.reports) for task in service.tasks.values()] == [1] * 6
    # Three attempts if a lease request of the killed worker was still open: its lease was granted to nobody.
    assert {task.attempt for task in service.tasks.values()} <= {2, 3}


def test_a_token_that_is_not_accepted_ends_it_with_2_and_a_sentence(
    service: FakeService, start_worker: StartWorker, tmp_path: Path
) -> None:
    process = start_worker("--wait-seconds", "0.2")
    service.wait_for(lambda: service.calls["lease"])
    service.token = "another"
    assert process.wait(LIMIT_SECONDS) == 2
    output = (tmp_path / WORKER_LOG).read_text()
    assert "does not accept this token" in output
    assert "the-token" not in output


def test_processes_as_executor_survive_the_death_of_one(
    service: FakeService, start_worker: StartWorker, tmp_path: Path
) -> None:
    service.add(4, connection="test", model="m")
    service.add(1, connection="mortal", model="m", mark=str(tmp_path / "mark"))
    process = start_worker(
        "--executor", "processes", "--concurrency", "1", "--handler", "test=tests.worker.sample_handlers:whose_process",
        "--handler", "mortal=tests.worker.sample_handlers:dies_once",
    )  # fmt: skip
    service.wait_until_finished()
    pids = {task.reports[0]["result"]["pid"] for task in list(service.tasks.values())[:4]}
    assert process.pid not in pids
    assert service.tasks["5"].reports[0]["error"]["code"] == "worker_failed"
    service.add(1, connection="test", model="m")
    service.wait_until_finished()
    assert service.tasks["6"].status == "COMPLETED"
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_SECONDS) == 0
    wait_until(lambda: not Path(f"/proc/{service.tasks['6'].reports[0]['result']['pid']}").exists())


def test_the_environment_may_give_every_option(service: FakeService) -> None:
    service.token = "another"
    done = command(INTERLOCK_URL=service.url, INTERLOCK_TOKEN="wrong", INTERLOCK_NAME="by-environment")
    assert done.returncode == 2
    assert service.calls["lease"][0]["worker"] == "by-environment"


def test_help_names_every_option_and_the_exit_codes() -> None:
    output = command("--help").stdout
    for option in ("--url", "--token-file", "--concurrency", "--handler", "--grace-seconds", "INTERLOCK_TOKEN"):
        assert option in output
    assert "Exit codes" in output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "token is needed"),
        (("--token", "a b"), "characters that no token has"),
        (("--token-file", "/no/such/file"), "cannot be read"),
        (("--token", "t", "--url", "localhost:5000"), "not an address"),
        (("--token", "t", "--handler", "openai"), "not written as"),
        (("--token", "t", "--handler", "openai=os:nothing"), "cannot be imported"),
        (("--token", "t", "--stage-handler", "nothing"), "does not name a function"),
        (("--token", "t", "--executor", "nothing"), "does not name a function"),
        (("--token", "t", "--executor", "dask"), "go together"),
        (("--token", "t", "--concurrency", "0"), "not in the range"),
        (("--token", "t", "--connections", "/no/such/file"), "cannot be read"),
        (("--token", "t", "--connections", "examples/connections.toml"), "OPENAI_API_KEY is not set"),
        (("--token", "t", "--connections", "x.toml", "--executor", "processes"), "needs --executor threads"),
    ],
)
def test_wrong_options_are_explained_in_a_sentence(
    options: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process: to start one takes a second, and connections/test_process.py does it for a wrong file."""
    monkeypatch.chdir(ROOT)
    withheld = {name: None for name in os.environ if name.startswith(("INTERLOCK_", "OPENAI_"))}
    done = CliRunner().invoke(main, options, env=withheld, prog_name="python -m app.worker")
    assert_explained(done.exit_code, done.stderr, sentence)


def test_a_scheduler_that_does_not_answer_is_explained_in_a_sentence() -> None:
    """In a process of its own, which the threads of Dask's client end with."""
    program = (
        "from app.worker.executors import dask_executor; dask_executor.CONNECT_SECONDS = 0.2;"
        "from app.worker.__main__ import main; main()"
    )
    options = ("--token", "t", "--executor", "dask", "--scheduler", "tcp://127.0.0.1:1")
    done = command(*options, program=("-c", program))
    assert_explained(done.returncode, done.stderr, "no scheduler answers")


def assert_explained(exit_code: int, stderr: str, sentence: str) -> None:
    assert exit_code == 2
    assert sentence in re.sub(r"\s+", " ", stderr)
    assert "Traceback" not in stderr
