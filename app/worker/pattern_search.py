"""Finds the files below a folder that match a pattern of names."""

import os
import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from pathlib import Path

MAX_ENTRIES = 1_000_000  # that one search may look at


class PathRefused(Exception):
    """The path is not below the root. The message is a sentence without its full stop."""


class NotFoundThere(Exception):
    """There is no such file or folder, or it cannot be opened."""


class TooManyFiles(Exception):
    """The pattern matches too many files, or the search would look at too many."""


class PatternSearch:
    """One search. It ends with TooManyFiles when it has looked at too many entries, or when `stopped` returns True."""

    def __init__(self, root: Path, stopped: Callable[[], bool]) -> None:
        self._root = root
        self._stopped = stopped
        self._entries_seen = 0

    def walk(self, folder: Path, parts: list[str]) -> Iterator[Path]:
        """Yield the entries below `folder` that match the parts of a pattern."""
        first, rest = parts[0], parts[1:]
        if first == "**":
            yield from self.walk(folder, rest or ["*"])
            for name, is_folder in self._entries(folder):
                if is_folder and not name.startswith("."):
                    yield from self.walk(folder / name, parts)
            return
        # The ending of a file matches in any case: `*.pdf` finds SCAN.PDF.
        wanted = re.compile(translate(first if rest else _with_small_ending(first)))
        for name, _ in self._entries(folder):
            shown = name if rest else _with_small_ending(name)
            if wanted.match(shown) and (first.startswith(".") or not name.startswith(".")):
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
        self._entries_seen += len(found)
        if self._entries_seen > MAX_ENTRIES or self._stopped():
            raise TooManyFiles(f"it holds more than {MAX_ENTRIES} files and folders")
        return found


def _with_small_ending(name: str) -> str:
    begin, dot, ending = name.rpartition(".")
    return begin + dot + ending.lower() if dot else name
