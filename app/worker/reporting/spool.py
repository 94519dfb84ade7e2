"""The spool: reports on disk that could not be sent. What lies there is sent by the next start.

A folder for each address of a service, in it a folder for each worker, in it a file for each report.

1. A file is written under another name, synced and renamed: it is complete, or it is not there.
2. Its first line is the SHA-256 of the rest. A file that does not match it is renamed and logged.
3. A worker holds the lock of its folder. A folder that no worker holds belonged to one that ended: the next start
   takes it over.
"""

import fcntl
import hashlib
import os
import re
import threading
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import orjson
import structlog

from app.worker.reporting.reports import Report

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SpooledReport:
    """A report on disk, with the properties of a report in memory. `size` is in bytes."""

    task_id: str
    lease_token: str
    has_result: bool
    size: int
    path: Path

    @property
    def body(self) -> bytes:
        """Read the bytes to send. Raises OSError when they are not there any more, or have changed."""
        return read_checked(self.path)


class Spool:
    """The part of a spool that belongs to one worker. Folders are made at the first write. Any thread may write."""

    def __init__(self, folder: Path, url: str) -> None:
        self._top = folder
        self._of_service = folder / re.sub(r"\W+", "_", url)
        self._own: Path | None = None
        self._locks: list[int] = []  # file descriptors, open for as long as the folders are held
        self._making = threading.Lock()
        self._numbers = count(1)

    def take_over(self) -> list[SpooledReport]:
        """Take over what workers that ended have left, and list it in the order in which it was written."""
        found: list[SpooledReport] = []
        try:
            for folder in sorted(self._of_service.glob("*/")):
                if self._hold(folder):
                    self._own = self._own or folder
                    found += filter(None, map(_read_or_set_aside, folder.glob("*.*")))
        except OSError as error:
            log.error("spool_unreadable", folder=str(self._of_service), reason=str(error))
        if found:
            log.info("spool_taken_over", reports=len(found), folder=str(self._of_service))
        return sorted(found, key=lambda report: report.path.name)

    def write(self, report: Report) -> SpooledReport:
        """Write a report. Raises OSError; then nothing of it is left."""
        name = f"{time.time_ns()}-{next(self._numbers)}"
        draft = self._own_folder() / f"{name}.draft"
        path = draft.with_suffix(".report")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(hashlib.sha256(report.body).hexdigest().encode() + b"\n")
                file.write(report.body)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
            _sync(path.parent)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return SpooledReport(report.task_id, report.lease_token, report.has_result, report.size, path)

    def remove(self, report: SpooledReport) -> None:
        """Remove a report that was answered. If that fails it is sent again, which does no harm."""
        try:
            report.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("spool_file_not_removed", path=str(report.path), reason=str(error))

    def close(self) -> None:
        """Release the folders, so that another worker can take over what is in them."""
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def _own_folder(self) -> Path:
        with self._making:
            if self._own is None:
                own = self._of_service / f"{time.time_ns()}-{os.getpid()}"
                for folder in (self._top, self._of_service, own):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _sync(folder.parent)
                if not self._hold(own):
                    raise OSError(f"{own} is held by another worker")
                self._own = own
            return self._own

    def _hold(self, folder: Path) -> bool:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks.append(lock)
        return True


def read_checked(path: Path) -> bytes:
    """Read the report in a file. Raises OSError when the file is torn."""
    digest, _, body = path.read_bytes().partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise OSError(f"{path} is torn: it does not match its checksum")
    return body


def _read_or_set_aside(path: Path) -> SpooledReport | None:
    if path.suffix not in (".report", ".draft"):
        return None
    try:
        body = read_checked(path)  # a draft may be complete, too
        report = orjson.loads(body)
        is_result = report["outcome"] == "completed"
        return SpooledReport(report["task_id"], report["lease_token"], is_result, len(body), path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        torn = path.rename(path.with_name(f"{path.name}.torn"))
        log.error("spool_file_torn", path=str(torn), reason=str(error))
        return None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
