"""The reader processes of a worker: one for each processor, or fewer if the memory is small.

They are started when needed and used again.
A process that dies, hangs or has read many documents is replaced.
"""

import atexit
import os
import signal
import threading
from functools import cache

from app.worker.extraction.found import Found, Unreadable
from app.worker.extraction.frames import PipeBroken
from app.worker.extraction.limits import Limits
from app.worker.extraction.machine import most_children
from app.worker.extraction.reader_process import ReaderProcess

MAX_DOCUMENTS = 500  # of one process: libraries leak memory


class ReaderPool:
    """Reader processes with the same limits. Any thread may call `read`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.forget()

    def forget(self) -> None:
        """Start without processes. Also called in a forked process, since the processes belong to its parent."""
        self._lock = threading.Lock()
        self._idle: list[ReaderProcess] = []
        self._free = threading.Semaphore(most_children(self._limits.memory_mib))

    def read(self, reader: str, content: bytes, charset: str | None) -> Found:
        """Read a document. Raises Unreadable.

        If the process dies for another reason than a limit, the document is read once more in a new process: the
        cause may not have been this document.
        """
        with self._free:
            try:
                return self._read(self._take(), reader, content, charset)
            except PipeBroken:
                pass
            try:
                return self._read(ReaderProcess(self._limits), reader, content, charset)
            except PipeBroken as death:
                raise Unreadable(f"cannot be read: its reader died of it ({death})") from death

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _take(self) -> ReaderProcess:
        with self._lock:
            return self._idle.pop() if self._idle else ReaderProcess(self._limits)

    def _read(self, process: ReaderProcess, reader: str, content: bytes, charset: str | None) -> Found:
        healthy = False
        try:
            extracted = process.read(reader, content, charset)
            healthy = True
            return extracted
        except Unreadable:
            healthy = True
            raise
        except MemoryError:
            limit = self._limits.memory_mib
            raise Unreadable(
                f"cannot be read within the limits: it took more than {limit} MiB of memory. "
                "Split it, or raise --document-memory-mib of the worker"
            ) from None
        except PipeBroken as death:
            raise self._cause_of(process.end(), death) from death
        finally:
            if healthy and process.documents < MAX_DOCUMENTS:
                with self._lock:
                    self._idle.append(process)
            else:
                process.end()

    def _cause_of(self, code: int, death: PipeBroken) -> Exception:
        """Find out from the exit code whether a limit or something else ended a process."""
        if code in (-signal.SIGALRM, -signal.SIGXCPU):
            return Unreadable(
                f"cannot be read within the limits: it took more than {self._limits.seconds} s. "
                "Split it, or raise --document-seconds of the worker"
            )
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return PipeBroken(f"{death}: {name}")


@cache
def pool_for(limits: Limits) -> ReaderPool:
    """Return the pool of this process for these limits. Its reader processes end when this process ends."""
    pool = ReaderPool(limits)
    atexit.register(pool.close)
    os.register_at_fork(after_in_child=pool.forget)
    return pool
