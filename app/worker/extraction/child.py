"""The child process that reads documents, one after the other: `python -m app.worker.extraction.child MEMORY_MIB`.

1. It gives up what a reader has no need of: memory beyond its limit, core dumps.
2. A thread takes the documents in from stdin. When stdin ends its parent is gone, and so is the child, at once.
3. For each document a clock runs, of the kernel's: of time (SIGALRM) and of processor time (SIGXCPU). Nobody has to
   be awake for them to end the process.
4. The answer goes out on what was stdout; whatever a library prints there goes to stderr.
"""

import os
import queue
import resource
import signal
import sys
import threading
import warnings
from importlib import import_module
from typing import IO, Any

from app.worker.extraction import frames
from app.worker.extraction.found import Extracted, TextLimit, Unreadable
from app.worker.extraction.limits import MIB

BIGGEST_INPUT_BYTES = 1024 * MIB
Job = tuple[dict[str, Any], bytes]


def main(memory_mib: int) -> None:
    """Read documents until the parent is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # others do not hold to it, or refuse to set it
        resource.setrlimit(resource.RLIMIT_AS, (memory_mib * MIB, memory_mib * MIB))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")  # of a library about a file: its reader's answer says what counts
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=take_in, args=(sys.stdin.buffer, jobs), daemon=True).start()
    while True:
        head, content = jobs.get()
        start_clock(int(head["seconds"]))
        said, text = answer(head, content)
        signal.setitimer(signal.ITIMER_REAL, 0)
        del content
        frames.send(answers, said, text)


def take_in(pipe: IO[bytes], jobs: "queue.SimpleQueue[Job]") -> None:
    """Pass on what the parent sends; end the process when it sends no more."""
    try:
        while True:
            jobs.put(frames.receive(pipe, BIGGEST_INPUT_BYTES))
    except (frames.Torn, MemoryError):
        os._exit(0)


def start_clock(seconds: int) -> None:
    """Let the kernel end this process when the document takes longer."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def answer(head: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """Read one document; say what came of it. A fault of ours is told as such, and not as the document's."""
    try:
        module, _, function = str(head["reader"]).partition(":")
        read = getattr(import_module(module), function)
        found: Extracted = read(content, head["charset"], TextLimit(int(head["characters"])))
        return {"metadata": found.metadata}, found.text.encode("utf-8", "replace")
    except Unreadable as error:
        return {"why": error.why, "too_large": error.too_large}, b""
    except MemoryError:
        return {"why": "memory"}, b""
    except RecursionError:
        return {"why": "is nested too deeply"}, b""
    except ImportError as error:
        return {"fault": str(error)}, b""
    except Exception as error:
        return {
            "why": f"is broken: its reader failed ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
        }, b""


if __name__ == "__main__":
    main(int(sys.argv[1]))
