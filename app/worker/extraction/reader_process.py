"""One reader process, as its parent sees it. It is a new interpreter: the fork of a process with threads may hang.

It knows nothing of the worker: no token, and no file descriptor except its pipes.
"""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from app.worker.extraction import frames
from app.worker.extraction.found import Found, Unreadable
from app.worker.extraction.limits import Limits

ROOT = Path(__file__).parents[3]
START_SECONDS = 30.0  # for the interpreter and its libraries, in addition to the document's own time
MAX_HEAD_BYTES = 1024 * 1024
ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT", "TESSDATA_PREFIX")


class ReaderProcess:
    """Starts the process. Only one thread at a time may call `read`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.documents = 0  # that it has begun to read
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.worker.extraction.reader_main", str(limits.memory_mib)],
            cwd=ROOT,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a signal to the worker's process group must not end a reader in use
        )
        self._to_process = cast(IO[bytes], self._process.stdin)
        self._from_process = cast(IO[bytes], self._process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self, reader: str, content: bytes, charset: str | None) -> Found:
        """Read a document with the function `module:function`.

        Raises Unreadable, MemoryError beyond the limit, and PipeBroken when the process died.
        """
        limits = self._limits
        self.documents += 1
        job = {
            "reader": reader, "charset": charset, "seconds": limits.seconds, "characters": limits.characters,
            "ocr_languages": limits.ocr_languages,
        }  # fmt: skip
        # The process's own timers end it earlier. This one is for a process that does not even begin to read.
        timer = threading.Timer(limits.seconds + START_SECONDS, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            frames.send(self._to_process, job, content)
            answer, text = frames.receive(self._from_process, 4 * limits.characters + MAX_HEAD_BYTES)
        except OSError as error:
            raise frames.PipeBroken("it ended") from error
        finally:
            timer.cancel()
        if "fault" in answer:
            raise RuntimeError(f"a reader is missing: {answer['fault']}")
        if answer.get("why") == "memory":
            raise MemoryError
        if "why" in answer:
            raise Unreadable(str(answer["why"]), bool(answer.get("too_large")), bool(answer.get("has_no_text")))
        return Found(text.decode("utf-8", "replace"), dict(answer.get("metadata") or {}))

    def end(self) -> int:
        """End the process and return its exit code: minus the signal that ended it."""
        try:
            code = self._process.wait(0.2)  # it may be about to end by itself: then its exit code says why
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for pipe in (self._to_process, self._from_process):
            with suppress(OSError):  # the rest of a document that was not sent is not needed
                pipe.close()
        return code
