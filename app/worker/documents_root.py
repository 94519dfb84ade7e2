"""The folder below which this worker reads documents by path. No path leads out of it, by links or by `..`.

A path is resolved first, with all its links, and then compared with the root. The resolved path is what is opened.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from app.worker.pattern_search import NotFoundThere, PathRefused, PatternSearch, TooManyFiles

MAX_FILES = 10_000


@dataclass(frozen=True)
class DocumentsRoot:
    """A folder that the operator of this worker allowed. Plain data, so that it can be pickled."""

    folder: Path

    def matches(self, pattern: str, stopped: Callable[[], bool] = lambda: False) -> list[str]:
        """List the files that a pattern such as `contracts/**/*.pdf` matches, sorted, relative to the root.

        `*` and `?` match within a name, `**` matches any folders. A name that begins with a dot is matched only by a
        pattern that begins with one. `**` follows no links. Raises PathRefused, NotFoundThere and TooManyFiles.
        """
        found: set[str] = set()
        root = self._resolved_root()
        for entry in PatternSearch(root, stopped).walk(root, _parts(pattern)):
            if entry.is_file():
                path = entry.relative_to(root).as_posix()
                found.add(path)
                _locate(root, path)  # raises PathRefused
            if len(found) > MAX_FILES:
                raise TooManyFiles(f"it matches more than {MAX_FILES} files")
        return sorted(found)

    def locate(self, path: str) -> Path:
        """Resolve the path of a file below the root. Raises PathRefused and NotFoundThere."""
        return _locate(self._resolved_root(), path)

    def is_folder(self, path: str) -> bool:
        """Whether a path below the root is a folder. Raises PathRefused and NotFoundThere."""
        return self.locate(path).is_dir()

    def read(self, path: str, max_bytes: int) -> bytes:
        """Read at most `max_bytes` + 1 bytes of a file. Raises PathRefused and NotFoundThere."""
        with self.opened(path) as file:
            return file.read(max_bytes + 1)

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """Open a file to read it. Raises PathRefused and NotFoundThere."""
        found = self.locate(path)
        try:
            # NONBLOCK: do not wait for the writer of a pipe. NOFOLLOW: fail if a link has replaced the file since.
            descriptor = os.open(found, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise NotFoundThere(f"{path!r} is not a regular file")
                if not _path_of(descriptor, found).is_relative_to(self._resolved_root()):
                    raise PathRefused(f"{path!r} leads out of the worker's root")
                yield file
        except OSError as error:
            raise NotFoundThere(f"{path!r} cannot be opened: {error.strerror}") from error

    def _resolved_root(self) -> Path:
        try:
            return self.folder.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise NotFoundThere(f"the worker's root {self.folder} does not exist") from error


def _locate(root: Path, path: str) -> Path:
    """Resolve the path of a file below a resolved root. Raises PathRefused and NotFoundThere."""
    parts = _parts(path)
    try:
        found = root.joinpath(*parts).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a cycle of links
        raise NotFoundThere(f"there is no file {path!r} below the worker's root") from error
    if not found.is_relative_to(root):
        raise PathRefused(f"{path!r} leads out of the worker's root")
    return found


def _path_of(descriptor: int, expected: Path) -> Path:
    """Find the real path of an open file: since its path was resolved, a folder of it may have become a link."""
    link = Path(f"/proc/self/fd/{descriptor}")
    return link.resolve() if link.exists() else expected


def _parts(path: str) -> list[str]:
    parts = PurePosixPath(path).parts
    if not parts or parts[0].startswith("/") or ".." in parts or "\0" in path:
        raise PathRefused(f"{path!r} is not a path below the worker's root: it must be relative, without `..`")
    return list(parts)
