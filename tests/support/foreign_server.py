"""A real server of OpenAI's API that is not ours, in a process of its own: LLMock, from PyPI, with a count beside it.

1. Every call is a line of a file when it came, and another one before its answer leaves. So nothing is answered
   uncounted, and what was counted outlives the process: it may be killed, and started again on its port.
2. `order` says how the next calls go wrong, in LLMock's own words: {"type": "fail", "status": 429, "times": 5}.
3. With `per_minute` it answers 429 to whatever is too much for the minute before it, by a sliding window.
"""

import hashlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.postgres import free_port
from tests.support.process import PythonProcess
from tests.support.waiting import LIMIT_SECONDS, wait_until

CAME, WINDOW_SECONDS = 0, 60.0
PREFIX = "/v1/"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Line:
    """A call came (status CAME) or was answered; `question` is the same for the same body."""

    status: int
    number: int
    at: float  # on the monotonic clock
    question: str


class ForeignServer:
    """The process as a test has it."""

    def __init__(self, folder: Path, latency_ms: int = 0, per_minute: int = 0) -> None:
        self.lines_path, self._log = folder / "calls", folder / "model-server.log"
        self.lines_path.touch()
        self.port = free_port()
        self._settings = [str(self.port), str(self.lines_path), str(latency_ms), str(per_minute)]
        self._process: PythonProcess | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = ("-m", "tests.support.foreign_server")
        self._process = PythonProcess(*program, *self._settings, env=os.environ, output=self._log)
        wait_until(self._answers, lambda: f"the model server\n{self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it as a crash does; what it was asked and had not answered stays so."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def order(self, *behaviors: dict[str, Any]) -> None:
        self._admin("POST", "scenario", {"behaviors": behaviors})

    def faults_of_its_client(self) -> list[dict[str, Any]]:
        """What LLMock finds wrong with how it was asked: a Retry-After not heeded, a 400 asked again."""
        return [found for found in self._admin("GET", "verdict")["findings"] if found["severity"] == "error"]

    def lines(self) -> list[Line]:
        told = [line.split() for line in self.lines_path.read_text().splitlines()]
        return [Line(int(status), int(number), float(at), question) for status, number, at, question in told]

    def answered(self, status: int = 200) -> list[str]:
        """The questions that were answered so, in turn; one that was answered twice is there twice."""
        return [line.question for line in self.lines() if line.status == status]

    def open_calls(self) -> int:
        """How many calls wait for their answer, or waited for it when it was killed."""
        lines = self.lines()
        return len(lines) - 2 * sum(line.status != CAME for line in lines)

    def _answers(self) -> bool:
        assert self._process is None or self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=5).ok
        except requests.RequestException:
            return False

    def _admin(self, method: str, what: str, body: Any = None) -> Any:
        answer = requests.request(
            method, f"http://127.0.0.1:{self.port}/_llmock/{what}", json=body, timeout=LIMIT_SECONDS
        )
        answer.raise_for_status()
        return answer.json()


@contextmanager
def foreign_server(folder: Path, latency_ms: int = 0, per_minute: int = 0) -> Iterator[ForeignServer]:
    server = ForeignServer(folder, latency_ms, per_minute)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Counted:
    """What the process runs: LLMock's application, and the file of calls."""

    def __init__(self, app: App, path: Path, per_minute: int) -> None:
        self._app = app
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._number = sum(line.startswith(b"0 ") for line in path.read_bytes().splitlines())
        self._most = per_minute
        self._lately: deque[float] = deque()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # a client that closes before its request is complete gets no answer
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self._number += 1
        number, question, status = self._number, hashlib.sha256(body).hexdigest()[:24], 500
        self._write(CAME, number, question)

        async def received() -> Message:
            nonlocal body
            whole, body = body, b""
            return {"type": "http.request", "body": whole} if whole else await receive()

        async def counted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._write(status, number, question)
            await send(message)

        if self._too_many():
            await refuse(counted)
        else:
            await self._app(scope, received, counted)

    def _write(self, status: int, number: int, question: str) -> None:
        os.write(self._file, f"{status} {number} {time.monotonic()} {question}\n".encode())

    def _too_many(self) -> bool:
        now = time.monotonic()
        while self._lately and self._lately[0] <= now - WINDOW_SECONDS:
            self._lately.popleft()
        if self._most and len(self._lately) >= self._most:
            return True
        self._lately.append(now)
        return False


async def refuse(send: Send) -> None:
    body = json.dumps({"error": {"message": "Too many requests this minute.", "code": "rate_limit_exceeded"}}).encode()
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main(port: str, path: str, latency_ms: str, per_minute: str) -> None:
    import uvicorn  # here, since only the process needs them
    from llmock.chaos import ChaosSettings
    from llmock.main import create_app
    from llmock.simulation import MockResponseSettings

    app = create_app(ChaosSettings(latency_ms=int(latency_ms)), MockResponseSettings("static"))
    counted = Counted(app, Path(path), int(per_minute))
    uvicorn.run(counted, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
