"""A small disk that can be made full: a tmpfs where this process may mount one, and a limit for files otherwise."""

import resource
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

SIZE = "128m"
_BLOCK = b"x" * 65_536


@dataclass(frozen=True)
class Disk:
    """A folder on a disk of its own, if `mounted`."""

    folder: Path
    mounted: bool

    @contextmanager
    def full(self, pids: Sequence[int]) -> Iterator[None]:
        """Leave no room on the disk during the block; where it is not mounted, let no file of these processes grow."""
        if self.mounted:
            with self._without_room():
                yield
        else:
            with _limited(pids):
                yield

    @contextmanager
    def _without_room(self) -> Iterator[None]:
        ballast = self.folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while file.write(_BLOCK):
                    pass
            yield
        finally:
            ballast.unlink()


@contextmanager
def _limited(pids: Sequence[int]) -> Iterator[None]:
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, most) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, most))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def small_disk() -> Iterator[Disk]:
    """Make a disk; it is gone when the block ends."""
    with TemporaryDirectory(prefix="interlock-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        try:
            yield Disk(Path(folder), mounted)
        finally:
            if mounted:
                subprocess.run(["umount", folder], check=True)
