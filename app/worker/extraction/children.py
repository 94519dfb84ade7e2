"""The reading children of this process: as many as it has processors, started when needed, used again and again.

A child that dies, hangs or has read many documents is replaced. They are started as fresh interpreters, for a fork of
a process with threads may hang, and know nothing of the worker: no token, no descriptor but their pipes.
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, cast

from app.worker.extraction import frames
from app.worker.extraction.found import Extracted, Unreadable
from app.worker.extraction.limits import Limits

ROOT = Path(__file__).parents[3]
MOST_DOCUMENTS = 500  # that one child reads: libraries leak
START_SECONDS = 30.0  # for the interpreter and its libraries, beside the document's own time
MOST_HEAD_BYTES = 1024 * 1024
PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT")


class Child:
    """One reading process. `read` may be called by one thread at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.documents = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.worker.extraction.child", str(limits.memory_mib)],
            cwd=ROOT,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a signal for the worker's group must not end what it still waits for
        )
        self._to_child = cast(IO[bytes], self._process.stdin)
        self._from_child = cast(IO[bytes], self._process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self, reader: str, content: bytes, charset: str | None) -> Extracted:
        """Read a document by `module:function`. Raises Unreadable, frames.Torn when the child died of it."""
        limits = self._limits
        self.documents += 1
        job = {"reader": reader, "charset": charset, "seconds": limits.seconds, "characters": limits.characters}
        # The child's own clock ends it first; this one is for a child that does not even begin.
        watch = threading.Timer(limits.seconds + START_SECONDS, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            frames.send(self._to_child, job, content)
            said, text = frames.receive(self._from_child, 4 * limits.characters + MOST_HEAD_BYTES)
        except OSError as error:
            raise frames.Torn("it ended") from error
        finally:
            watch.cancel()
        if "fault" in said:
            raise RuntimeError(f"a reader is missing: {said['fault']}")
        if said.get("why") == "memory":
            raise MemoryError
        if "why" in said:
            raise Unreadable(str(said["why"]), bool(said.get("too_large")))
        return Extracted(text.decode("utf-8", "replace"), dict(said.get("metadata") or {}))

    def end(self) -> int:
        """End the process, and tell how it ended: minus the signal."""
        try:
            code = self._process.wait(0.2)  # it may be ending by itself, and then says why
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for pipe in (self._to_child, self._from_child):
            with suppress(OSError):  # what was not sent is lost with the child
                pipe.close()
        return code


class Children:
    """The children that keep to one set of limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.forget()

    def forget(self) -> None:
        """Begin without a child; also in a process that was forked, for the children are its parent's."""
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._room = threading.Semaphore(os.cpu_count() or 1)

    def read(self, reader: str, content: bytes, charset: str | None) -> Extracted:
        """Read a document, once more in a fresh child if one died of no limit: it may not have been this file.

        Raises Unreadable.
        """
        with self._room:
            try:
                return self._read(self._take(), reader, content, charset)
            except frames.Torn:
                pass
            try:
                return self._read(Child(self._limits), reader, content, charset)
            except frames.Torn as death:
                raise Unreadable(f"is hostile or broken: its reader died of it ({death})") from death

    def close(self) -> None:
        """End the idle children."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def _take(self) -> Child:
        with self._lock:
            return self._idle.pop() if self._idle else Child(self._limits)

    def _read(self, child: Child, reader: str, content: bytes, charset: str | None) -> Extracted:
        sound = False
        try:
            found = child.read(reader, content, charset)
            sound = True
            return found
        except Unreadable:
            sound = True
            raise
        except MemoryError:
            raise self._over_memory() from None
        except frames.Torn as death:
            raise self._told(child.end(), death) from death
        finally:
            if sound and child.documents < MOST_DOCUMENTS:
                with self._lock:
                    self._idle.append(child)
            else:
                child.end()

    def _told(self, code: int, death: frames.Torn) -> Exception:
        """Say how a child died: of a limit, or of something else."""
        limits = self._limits
        if code in (-signal.SIGALRM, -signal.SIGXCPU):
            return Unreadable(f"is hostile or broken: reading it took more than {limits.seconds} s")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return frames.Torn(f"{death}: {name}")

    def _over_memory(self) -> Unreadable:
        return Unreadable(f"is hostile or broken: reading it took more than {self._limits.memory_mib} MiB of memory")


@cache
def children_of(limits: Limits) -> Children:
    """The children of this process for these limits; they end with it."""
    made = Children(limits)
    atexit.register(made.close)
    os.register_at_fork(after_in_child=made.forget)
    return made
