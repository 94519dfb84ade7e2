"""How the memory of a process is allocated: what is freed is given back, and not kept for each thread."""

import ctypes
import sys

LARGE_BYTES = 256 * 1024
ARENAS = 2
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h


def keep_little() -> None:
    """Let glibc map each large value on its own, and let all threads share a few heaps.

    By default glibc raises the threshold itself after a large value was freed: the next ones then stay in the heaps of
    the threads. And each thread has a heap of its own, which keeps the most that the thread ever needed, although only
    one thread runs at a time. Other libraries of C have no `mallopt`, and need nothing.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_ARENA_MAX, ARENAS)
