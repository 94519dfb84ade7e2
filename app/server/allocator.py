"""How the memory of a process is allocated: large values are given back to the machine as soon as they are freed."""

import ctypes
import sys

LARGE_BYTES = 256 * 1024
_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


def give_large_values_back() -> None:
    """Let glibc map each large value on its own. Other libraries of C have no `mallopt`, and need nothing.

    By default glibc raises this threshold itself after a large value was freed: the next ones then stay in the heaps of
    the threads, and a process keeps the largest amount that each of its threads ever needed.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
