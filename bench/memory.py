"""How much memory a process took at its height, above what it had before; read from Linux."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

RESET_PEAK = "5"


@dataclass
class Memory:
    """Megabytes that the largest of the processes grew by; known at the end of the block."""

    grown_mb: float = field(default=0.0)


def _kilobytes(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found
    return int(found[1])


@contextmanager
def watched(pids: Sequence[int]) -> Iterator[Memory]:
    """Watch processes while the block lasts: their peak is the kernel's own, so that nothing falls between looks."""
    memory = Memory()
    before = {}
    for pid in pids:
        before[pid] = _kilobytes(pid, "VmRSS")
        Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)
    yield memory
    memory.grown_mb = max((_kilobytes(pid, "VmHWM") - before[pid]) / 1000 for pid in pids)
