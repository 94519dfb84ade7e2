"""A folder in memory, where a commit waits for no disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # tmpfs on every Linux; in a container it may be too small
ENOUGH_BYTES = 2 * 1024**3


def _parent() -> Path | None:
    has_room = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    return MEMORY if has_room else None


@contextmanager
def memory_folder(prefix: str) -> Iterator[Path]:
    """Make a folder, in memory where the machine has room and on the disk otherwise; remove it at the end."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=_parent(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)
