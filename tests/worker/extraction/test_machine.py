"""Children that read documents are counted by what a container gives, not by what its machine has."""

from pathlib import Path

import pytest

from app.worker.extraction import machine

GIB = 1024**3


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(machine.os, "sysconf", lambda name: 64 * GIB // 4096 if name == "SC_PHYS_PAGES" else 4096)
    return tmp_path


def write(folder: Path, **values: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def test_a_machine_without_limits(cgroups: Path) -> None:
    assert (machine.processors(), machine.memory_bytes()) == (16, 64 * GIB)
    assert machine.most_children(1024) == 16


def test_limits_of_the_cgroup_and_of_those_around_it(cgroups: Path) -> None:
    (cgroups / "own").write_text("0::/pod/worker\n")
    write(cgroups / "cgroup" / "pod" / "worker", cpu__max="max 100000", memory__max=str(8 * GIB))
    write(cgroups / "cgroup" / "pod", cpu__max="250000 100000", memory__max="max")
    assert (machine.processors(), machine.memory_bytes()) == (3, 8 * GIB)
    assert machine.most_children(1024) == 3
    assert machine.most_children(4096) == 1
    assert machine.most_children(65_536) == 1


def test_limits_of_version_1(cgroups: Path) -> None:
    (cgroups / "own").write_text("5:cpu,cpuacct:/c\n4:memory:/c\n")
    write(cgroups / "cgroup" / "cpu" / "c", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000")
    write(cgroups / "cgroup" / "memory" / "c", memory__limit_in_bytes=str(2 * GIB))
    assert (machine.processors(), machine.memory_bytes()) == (2, 2 * GIB)
    assert machine.most_children(1024) == 1
