"""The program of a reader process: `python -m app.worker.extraction.reader_main MEMORY_MIB`.

1. It limits its memory and turns core dumps off.
2. A thread receives documents on stdin. The end of stdin means that the parent is gone: the process ends at once.
3. The kernel limits the time (SIGALRM) and the processor time (SIGXCPU) of each document. No thread has to be awake
   for the process to end.
4. The answers go to what was stdout at the start. Everything that a library prints goes to stderr.
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
from app.worker.extraction.found import Found, TextLimit, Unreadable
from app.worker.extraction.limits import MIB

MAX_INPUT_BYTES = 1024 * MIB
Job = tuple[dict[str, Any], bytes]


def main(memory_mib: int) -> None:
    """Read documents until the parent is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # other systems do not enforce this limit, or refuse it
        resource.setrlimit(resource.RLIMIT_AS, (memory_mib * MIB, memory_mib * MIB))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")  # the libraries' warnings about a file are not needed: the answer says enough
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=receive_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    while True:
        head, content = jobs.get()
        start_timers(int(head["seconds"]))
        answer, text = read_document(head, content)
        signal.setitimer(signal.ITIMER_REAL, 0)
        del content
        frames.send(answers, answer, text)


def receive_jobs(pipe: IO[bytes], jobs: "queue.SimpleQueue[Job]") -> None:
    """Queue what the parent sends. End the process when the parent is gone."""
    try:
        while True:
            jobs.put(frames.receive(pipe, MAX_INPUT_BYTES))
    except (frames.PipeBroken, MemoryError):
        os._exit(0)


def start_timers(seconds: int) -> None:
    """Let the kernel end this process if the document takes longer."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def read_document(head: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """Read one document and return the answer. `fault` in it is an error of this program, not of the document."""
    try:
        module, _, function = str(head["reader"]).partition(":")
        read = getattr(import_module(module), function)
        limit = TextLimit(int(head["characters"]), str(head["ocr_languages"]), int(head["seconds"]))
        found: Found = read(content, head["charset"], limit)
        return {"metadata": found.metadata}, found.text.encode("utf-8", "replace")
    except Unreadable as error:
        return {"why": error.why, "too_large": error.too_large, "has_no_text": error.has_no_text}, b""
    except MemoryError:
        return {"why": "memory"}, b""
    except RecursionError:
        return {"why": "is nested too deeply"}, b""
    except ImportError as error:
        return {"fault": str(error)}, b""
    except Exception as error:
        message = " ".join(str(error).split())[:300]
        return {"why": f"is broken: its reader failed ({type(error).__name__}: {message})"}, b""


if __name__ == "__main__":
    main(int(sys.argv[1]))
