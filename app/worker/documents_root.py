"""The folder below which this worker reads documents by path. No path leads out of it, whatever it is made of.

A path is resolved first, links and all, and then held against the root; what is opened is the resolved path.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path, PurePosixPath

MOST_FILES = 10_000
MOST_ENTRIES = 1_000_000  # looked at for one pattern


class PathRefused(Exception):
    """A path that is none below the root; the message is a sentence without its end."""


class NotFoundThere(Exception):
    """There is no such file, or it cannot be opened."""


class TooManyFiles(Exception):
    """A pattern that matches more than anyone meant."""


@dataclass(frozen=True)
class DocumentsRoot:
    """A folder that the operator of this worker allowed. Plain data, so that it can be pickled."""

    folder: Path

    def matches(self, pattern: str, stopped: Callable[[], bool] = lambda: False) -> list[str]:
        """List the files that a pattern such as `contracts/**/*.pdf` matches, in order, relative to the root.

        `*` and `?` match within a name, `**` any folders. Names with a leading dot are matched by a dot alone, and
        `**` follows no links. Raises PathRefused, NotFoundThere, TooManyFiles.
        """
        found: set[str] = set()
        root = self._resolved_root()
        for entry in _Search(root, stopped).walk(root, _parts(pattern)):
            if entry.is_file():
                found.add(entry.relative_to(root).as_posix())
                self.locate(entry.relative_to(root).as_posix())
            if len(found) > MOST_FILES:
                raise TooManyFiles(f"it matches more than {MOST_FILES} files")
        return sorted(found)

    def locate(self, path: str) -> Path:
        """Find a file below the root. Raises PathRefused, NotFoundThere."""
        root, parts = self._resolved_root(), _parts(path)
        try:
            found = root.joinpath(*parts).resolve(strict=True)
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links that lead in a ring
            raise NotFoundThere(f"there is no file {path!r} below the worker's root") from error
        if not found.is_relative_to(root):
            raise PathRefused(f"{path!r} leads out of the worker's root")
        return found

    def read(self, path: str, most_bytes: int) -> bytes:
        """Read a file, one byte more than `most_bytes` at most. Raises PathRefused, NotFoundThere."""
        found = self.locate(path)
        try:
            # Without waiting for the writer of a pipe; and if a link has come in its place since, not at all.
            descriptor = os.open(found, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise NotFoundThere(f"{path!r} is no regular file")
                if not _opened(descriptor, found).is_relative_to(self._resolved_root()):
                    raise PathRefused(f"{path!r} leads out of the worker's root")
                return file.read(most_bytes + 1)
        except OSError as error:
            raise NotFoundThere(f"{path!r} cannot be opened: {error.strerror}") from error

    def _resolved_root(self) -> Path:
        try:
            return self.folder.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise NotFoundThere(f"the worker's root {self.folder} is not there") from error


def _opened(descriptor: int, found: Path) -> Path:
    """Where the open file really lies: a folder on the way may have become a link since its path was resolved."""
    place = Path(f"/proc/self/fd/{descriptor}")
    return place.resolve() if place.exists() else found


def _parts(path: str) -> list[str]:
    parts = PurePosixPath(path).parts
    if not parts or parts[0].startswith("/") or ".." in parts or "\0" in path:
        raise PathRefused(f"{path!r} is no path below the worker's root: it has to be relative, and without `..`")
    return list(parts)


class _Search:
    """One walk along a pattern; it ends when it has looked at too much, or when nobody waits for it."""

    def __init__(self, root: Path, stopped: Callable[[], bool]) -> None:
        self._root = root
        self._stopped = stopped
        self._looked_at = 0

    def walk(self, folder: Path, parts: list[str]) -> Iterator[Path]:
        """Walk the entries below `folder` that match the parts of a pattern."""
        first, rest = parts[0], parts[1:]
        if first == "**":
            yield from self.walk(folder, rest or ["*"])
            for name, is_folder in self._entries(folder):
                if is_folder and not name.startswith("."):
                    yield from self.walk(folder / name, parts)
            return
        wanted = re.compile(translate(first))
        for name, _ in self._entries(folder):
            if wanted.match(name) and (first.startswith(".") or not name.startswith(".")):
                if not rest:
                    yield folder / name
                elif (inner := folder / name).is_dir():
                    if not inner.resolve().is_relative_to(self._root):
                        raise PathRefused(f"{name!r} leads out of the worker's root")
                    yield from self.walk(inner, rest)

    def _entries(self, folder: Path) -> list[tuple[str, bool]]:
        try:
            with os.scandir(folder) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError as error:
            raise NotFoundThere(f"the folder {folder.name!r} cannot be read: {error.strerror}") from error
        self._looked_at += len(found)
        if self._looked_at > MOST_ENTRIES or self._stopped():
            raise TooManyFiles(f"more than {MOST_ENTRIES} files and folders lie there")
        return found
