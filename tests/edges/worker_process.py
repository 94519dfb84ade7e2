"""The real worker in a process of its own, and batches of ready-made lines whose answers can be counted."""

import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import requests

from tests.support.batches import Batch
from tests.support.process import ROOT, PythonProcess
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS

HANDLER = "jsonl=tests.worker.sample_handlers:quick_line"
LINE = '{"custom_id":"c%d","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[],"n":%d}}\n'
ANSWERS = 20


class WorkerProcess:
    """A running worker; `log` is what it wrote so far. `file_bytes` is the size at which its files cannot grow."""

    def __init__(
        self, url: str, token: str, log: Path, *options: str, file_bytes: int | None = None, **environment: str
    ) -> None:
        self._log = log
        command = ("-m", "app.worker", "--handler", HANDLER, "--report-max", "5", *options)
        address = {"INTERLOCK_URL": url, "INTERLOCK_TOKEN": token, "INTERLOCK_WAIT_SECONDS": "0.2"}
        settings = os.environ | address | environment
        self._cat: subprocess.Popen[bytes] | None = None
        self.process: PythonProcess | subprocess.Popen[bytes]
        if file_bytes is None:
            self.process = PythonProcess(*command, env=settings, output=log)
            return
        with log.open("wb") as output:  # through `cat`: the limit of files is not for the log
            self._cat = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=output)
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=settings, stderr=self._cat.stdin, preexec_fn=limit
        )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(LIMIT_SECONDS)
        if self._cat and self._cat.stdin:
            self._cat.stdin.close()
            self._cat.wait(LIMIT_SECONDS)


def staged_batch(server: LiveServer, http: requests.Session) -> Batch:
    """Create a batch of `ANSWERS` lines and stage it."""
    batch = Batch(server, http, lines="".join(LINE % (n, n) for n in range(ANSWERS)).encode())
    batch.ask("stage")
    batch.reach("STAGED")
    return batch


def assert_each_answer_arrived_once(batch: Batch, server: LiveServer) -> None:
    """Wait for the end of the batch; each task has its answer, from its first attempt, and no second one."""
    batch.reach("COMPLETED")
    assert sorted(line["result"]["n"] for line in batch.results()) == list(range(ANSWERS))
    tasks = batch.list_all("tasks")
    assert [task["attempt"] for task in tasks] == [1] * ANSWERS
    for task in tasks:
        shown = batch.http.get(f"{server.url}/api/tasks/{task['id']}", timeout=LIMIT_SECONDS).json()
        assert shown["late_results"] == []
