"""The processors and the memory that this process really has: in a container often less than the machine has."""

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
MEMORY_SHARE = 0.75  # of the memory, for children that read documents; the rest is for the worker itself


def most_children(memory_mib: int) -> int:
    """Return how many children of this size may run at once: as many as processors, and as fit into the memory."""
    fitting = int(memory_bytes() * MEMORY_SHARE) // (memory_mib * 1024 * 1024)
    return max(1, min(processors(), fitting))


def processors() -> int:
    """Count the processors that this process may use, by its affinity and the quota of its cgroups."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _folders("cpu"):
        quota, period = ([*_words(folder / "cpu.max"), "", ""])[:2]
        if not quota:
            quota, period = _first(folder / "cpu.cfs_quota_us"), _first(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            allowed = min(allowed, -(-int(quota) // int(period)))  # half a processor is one child
    return max(1, allowed)


def memory_bytes() -> int:
    """Return the memory of the machine, or less if a cgroup of this process has a limit."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for folder in _folders("memory"):
        limits = (_first(folder / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes"))
        found += [int(limit) for limit in limits if limit.isdigit()]
    return min(found)


def _folders(controller: str) -> list[Path]:
    """Return the folders of this process's cgroup and of those around it, in version 2 and 1 of cgroups."""
    folders: list[Path] = []
    for line in _lines(OWN_CGROUP):
        _, controllers, path = ([*line.split(":", 2), "", ""])[:3]
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUPS / controller if controllers else CGROUPS
        own = root / path.lstrip("/")
        folders += [each for each in (own, *own.parents) if each.is_relative_to(root)]
    return list(dict.fromkeys([*folders, CGROUPS, CGROUPS / controller]))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _first(path: Path) -> str:
    return next(iter(_words(path)), "")
