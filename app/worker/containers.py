"""Files that hold documents: a ZIP archive, a mailbox. Each document in them has a path that begins with the file's.

`letters.zip/2024/a.pdf` is a file of an archive; `inbox.mbox/12@3456+789.eml` is the twelfth message of a mailbox, its
789 bytes from 3456 on. A container within a container is not opened.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from app.worker.extraction import Unreadable
from app.worker.extraction.found import ENCRYPTED, broken

ENDINGS = (".zip", ".mbox")
MAX_LINE_BYTES = 1024 * 1024
_MESSAGE = re.compile(r"(\d{1,9})@(\d{1,15})\+(\d{1,15})\.eml\Z")
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """One document of a container: its path in it, the name that people see, and its size."""

    path: str
    name: str
    size_bytes: int


def split(path: str) -> tuple[str, str]:
    """Split the path of a member into those of its container and of itself; ('', '') if it is not one."""
    parts = PurePosixPath(path).parts
    if ".." in parts:
        return "", ""
    for place, part in enumerate(parts[:-1], 1):
        if part.lower().endswith(ENDINGS):
            return "/".join(parts[:place]), "/".join(parts[place:])
    return "", ""


def members(name: str, file: BinaryIO, most: int) -> list[Member]:
    """List at most `most` + 1 documents of a container. Raises Unreadable."""
    try:
        found = _files(file) if name.lower().endswith(".zip") else _messages(file)
        return [member for member, _ in zip(found, range(most + 1), strict=False)]
    except _BROKEN as error:
        raise broken("archive", error) from error


def read(name: str, file: BinaryIO, path: str, max_bytes: int) -> bytes:
    """Read at most `max_bytes` + 1 bytes of a document of a container. Raises Unreadable."""
    if not name.lower().endswith(".zip"):
        return _read_message(file, path, max_bytes)
    try:
        with zipfile.ZipFile(file) as archive, archive.open(path) as member:
            return member.read(max_bytes + 1)
    except KeyError:
        raise broken("archive", f"it no longer has {path!r}") from None
    except RuntimeError as error:  # what zipfile raises for a password
        raise Unreadable(ENCRYPTED) from error
    except _BROKEN as error:
        raise broken("archive", error) from error


def _files(file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for entry in sorted(archive.infolist(), key=lambda each: each.filename):
            parts = PurePosixPath(entry.filename).parts
            hidden = any(part.startswith((".", "~$", "__MACOSX")) for part in parts)
            if not entry.is_dir() and not hidden and parts and not entry.filename.startswith("/"):
                yield Member(entry.filename, entry.filename, entry.file_size)


def _messages(file: BinaryIO) -> Iterator[Member]:
    """Find the messages of a mailbox: each begins with a line `From ` after an empty one."""
    begin, place, number, empty = 0, 0, 0, True
    while line := file.readline(MAX_LINE_BYTES):
        if empty and line.startswith(b"From "):
            if number:
                yield _message(number, begin, place)
            number, begin = number + 1, place
        empty = not line.strip(b"\r\n")
        place += len(line)
    if number:
        yield _message(number, begin, place)


def _message(number: int, begin: int, end: int) -> Member:
    return Member(f"{number}@{begin}+{end - begin}.eml", f"{number}.eml", end - begin)


def _read_message(file: BinaryIO, path: str, max_bytes: int) -> bytes:
    place = _MESSAGE.match(path)
    if place is None:
        raise broken("mailbox", f"it has no message {path!r}")
    file.seek(int(place[2]))
    content = file.read(min(int(place[3]), max_bytes + 1))
    if not content.startswith(b"From "):
        raise broken("mailbox", "it has changed since its messages were listed")
    return re.sub(rb"^>(>*From )", rb"\1", content, flags=re.M)
