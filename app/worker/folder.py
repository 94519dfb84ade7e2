"""Lists the documents of a folder: its files, and the documents in its archives and mailboxes."""

import hashlib
import mimetypes
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.worker import containers
from app.worker.documents_root import MAX_FILES, DocumentsRoot
from app.worker.extraction import Unreadable
from app.worker.extraction.found import left_out, omitted
from app.worker.extraction.kinds import BY_ENDING, BY_TYPE, MEDIA_TYPES, Kind
from app.worker.pattern_search import NotFoundThere, PathRefused, TooManyFiles

MAX_SIZE = 2**53  # the largest integer that every JSON parser reads exactly
MAX_NAME, MAX_PATH = 500, 4096
MAX_NAMED = 100  # of the files that are left out
LOCK_MARK = "~$"  # Office writes such a file beside each file that is open
SYSTEM_FILES = {"thumbs.db", "desktop.ini"}  # Windows writes them into folders that somebody opens


@dataclass
class Folder:
    """One listing. `documents` describe what was found, each with a hash by which equal ones are recognised."""

    root: DocumentsRoot
    max_bytes: int
    stopped: Callable[[], bool]
    documents: list[dict[str, Any]] = field(default_factory=list)
    _locks: list[str] = field(default_factory=list)
    _of_system: list[str] = field(default_factory=list)
    _unnamed: list[str] = field(default_factory=list)

    def result(self, pattern: str) -> dict[str, Any]:
        """List what a pattern matches. Raises PathRefused, NotFoundThere, TooManyFiles, Stopped."""
        for path in self.root.matches(pattern, self.stopped):
            if self.stopped():
                raise Stopped
            self._add(path)
        unnamed = "file whose name is not UTF-8", "files whose names are not UTF-8"
        missing = left_out(
            omitted(len(self._locks), "lock file", names=self._locks[:MAX_NAMED]),
            omitted(len(self._of_system), "file of Windows", "files of Windows", names=self._of_system[:MAX_NAMED]),
            omitted(len(self._unnamed), *unnamed, names=self._unnamed[:MAX_NAMED]),
        )
        return {"documents": self.documents, **({"metadata": missing} if missing else {})}

    def _add(self, path: str) -> None:
        name = path.rpartition("/")[2]
        if name.startswith(LOCK_MARK):
            self._locks.append(_shown(name))
        elif name.lower() in SYSTEM_FILES:
            self._of_system.append(_shown(path))
        elif not _is_utf8(path):
            self._unnamed.append(_shown(path))
        elif not name.lower().endswith(containers.ENDINGS) or not self._add_members(path):
            self._add_file(path)

    def _add_file(self, path: str) -> None:
        try:
            with self.root.opened(path) as file:
                size = min(os.fstat(file.fileno()).st_size, MAX_SIZE)
                # A file that is too large is not read: its size and path stand for its content.
                content = file.read(self.max_bytes + 1) if size <= self.max_bytes else f"{size} {path}".encode()
        except NotFoundThere:  # the task of this document will report the problem
            size = min(self.root.locate(path).stat().st_size, MAX_SIZE)
            content = path.encode("utf-8", "replace")
        self._describe(path, path, size, content)

    def _add_members(self, path: str) -> bool:
        """Add the documents of a container. False if it has none, or is broken: then it is a document itself."""
        try:
            with self.root.opened(path) as file:
                found = containers.members(path, file, MAX_FILES)
                for member in found:
                    if self.stopped():
                        raise Stopped
                    self._add_member(path, member, file)
        except (Unreadable, NotFoundThere, PathRefused):
            return False
        return bool(found)

    def _add_member(self, path: str, member: containers.Member, file: Any) -> None:
        inner = f"{path}/{member.path}"
        if not _is_utf8(inner) or len(inner) > MAX_PATH or ".." in inner.split("/"):
            self._unnamed.append(_shown(inner))
            return
        content = f"{member.size_bytes} {inner}".encode()
        if member.size_bytes <= self.max_bytes:
            try:
                content = containers.read(path, file, member.path, self.max_bytes)
            except Unreadable:
                content = inner.encode()  # the task of this document will report the problem
        self._describe(inner, f"{path}/{member.name}", min(member.size_bytes, MAX_SIZE), content)

    def _describe(self, path: str, name: str, size: int, content: bytes) -> None:
        if len(self.documents) >= MAX_FILES:
            raise TooManyFiles(f"it matches more than {MAX_FILES} files, with those in archives and mailboxes")
        self.documents.append(
            {
                "name": name[-MAX_NAME:],
                "path": path,
                "media_type": media_type_of(path),
                "size_bytes": size,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )


class Stopped(Exception):
    """The listing is no longer needed."""


def media_type_of(path: str) -> str:
    """Guess the media type from the ending of a name."""
    kind, guessed = BY_ENDING.get(path.rpartition(".")[2].lower()), mimetypes.guess_type(path)[0]
    if kind is not Kind.PICTURE or BY_TYPE.get(guessed or "") is not kind:
        guessed = MEDIA_TYPES[kind] if kind else guessed
    return guessed or "application/octet-stream"


def _is_utf8(path: str) -> bool:
    """Whether a name is text: Python keeps bytes of other encodings as surrogates, which no JSON can hold."""
    return not any("\ud800" <= letter <= "\udfff" for letter in path)


def _shown(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[-MAX_NAME:]
