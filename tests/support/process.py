"""Processes of this project, forked from one that has imported what they need: see preloaded.py.

Each is a process of its own, as an operator starts it with `python -m`: with its own session, environment, arguments
and output. Only its imports are made already, which would take longer than most tests.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import LIMIT_SECONDS

ROOT = Path(__file__).parents[2]
METRICS = "PROMETHEUS_MULTIPROC_DIR"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.support.preloaded"])


class PythonProcess:
    """`python arguments...`, with what tests use of `subprocess.Popen`; the arguments are as in python's command line.

    Writes to the file `output`, its errors to `errors` if that is given. It does not end with the test process: end it.
    """

    def __init__(self, *arguments: str, env: Mapping[str, str], output: Path, errors: Path | None = None) -> None:
        self._name = " ".join(("python", *arguments))
        output.touch()  # it may be read before the process has opened it
        self._process = FORKS.Process(target=_become, args=(arguments, dict(env), str(output), str(errors or output)))
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the number of the signal that ended it, negative; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._name, timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.wait()


def finished(*arguments: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run such a process to its end."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        errors.touch()
        with PythonProcess(*arguments, env=env, output=output, errors=errors) as process:
            try:
                exit_code = process.wait(LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, exit_code, output.read_text(), errors.read_text())


def new_interpreter(*arguments: str, env: Mapping[str, str], output: Path) -> "subprocess.Popen[bytes]":
    """Start the same in a new interpreter, where its own start and memory are what counts."""
    with output.open("ab") as log:
        command = [sys.executable, *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def take_as_standard_files(descriptors: Sequence[int]) -> None:
    """Make open files the standard input, output and error of this process, which was forked."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)


def _become(arguments: Sequence[str], env: Mapping[str, str], output: str, errors: str) -> None:
    """Turn this forked process into the one that was wanted."""
    os.setsid()
    os.chdir(ROOT)
    env = {name: os.environ[name] for name in (METRICS,) if name in os.environ} | dict(env)
    os.environ.clear()
    os.environ.update(env)
    for descriptor, path in ((1, output), (2, errors)):
        written = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(written, descriptor)
        os.close(written)
    try:
        _run(*arguments)
    finally:
        atexit._run_exitfuncs()


def _run(first: str, *others: str) -> None:
    """Run `-m module`, `-c program` or the path of a program, with its arguments."""
    sys.path[0] = str(ROOT)
    if first == "-m":
        sys.argv = list(others)
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *others[1:]]
        exec(others[0], {"__name__": "__main__"})
    else:
        sys.argv = [first, *others]
        runpy.run_path(first, run_name="__main__")
