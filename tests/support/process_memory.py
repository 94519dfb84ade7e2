"""Measures the peak memory of processes, compared with the memory before. Linux only."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

RESET_PEAK = "5"


@dataclass
class Memory:
    """`grown_mb`: by how many megabytes the process that grew most has grown. Set at the end of the block."""

    grown_mb: float = field(default=0.0)


def _kilobytes(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found
    return int(found[1])


@contextmanager
def measured_memory(pids: Sequence[int]) -> Iterator[Memory]:
    """Measure processes during the block. The kernel itself records the peak, so that none is missed."""
    memory = Memory()
    before = {}
    for pid in pids:
        before[pid] = _kilobytes(pid, "VmRSS")
        Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)
    yield memory
    memory.grown_mb = max((_kilobytes(pid, "VmHWM") - before[pid]) / 1000 for pid in pids)
