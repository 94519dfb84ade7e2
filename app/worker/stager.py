"""The built-in stage handler: reads the text of a document, or lists the files of a folder as documents.

A document comes from its payload, from the service, or from a file below this worker's root. A document that cannot
be read fails for good, with a sentence that names it and says why.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.worker import containers
from app.worker.documents_root import DocumentsRoot
from app.worker.extraction import Found, Limits, Unreadable, read
from app.worker.folder import Folder, Stopped
from app.worker.pattern_search import NotFoundThere, PathRefused, TooManyFiles
from app.worker.service.client import Address
from app.worker.service.download import Download
from app.worker.task import Task, TaskFailed


@dataclass(frozen=True)
class Stager:
    """Returns `{"text", "metadata"}` of a document, or `{"documents"}` of a folder.

    Plain data, so that it can be pickled.
    """

    address: Address
    limits: Limits = field(default_factory=Limits)
    root: DocumentsRoot | None = None

    def __call__(self, task: Task) -> dict[str, Any]:
        document = task.payload.get("document") or {}
        name = str(document.get("name") or f"of task {task.id}")
        with self.failures_of(name):
            return self._read(task, name, str(document.get("media_type") or ""))

    @contextmanager
    def failures_of(self, name: str) -> Iterator[None]:
        """Report what is wrong with a document as a failure that names it."""
        try:
            yield
        except Unreadable as error:
            code = "too_large" if error.too_large else "unreadable"
            raise TaskFailed(code, f"Document {name!r} {error.why}.", retryable=False) from error
        except NotFoundThere as error:
            raise TaskFailed("unreadable", f"Document {name!r} cannot be read: {error}.", retryable=False) from error
        except PathRefused as error:
            raise TaskFailed("path_refused", f"Document {name!r} is not read: {error}.", retryable=False) from error

    def _read(self, task: Task, name: str, media_type: str) -> dict[str, Any]:
        payload = task.payload
        if "folder" in payload:
            return self._list_folder(task, str(payload["folder"]))
        if "text" in payload:
            return self._read_inline(str(payload["text"]), media_type, name)
        content = self.content(task, name, payload)
        try:
            found = read(content, name, media_type, self.limits)
        except Unreadable as error:
            if not (error.has_no_text and payload.get("text_is_optional")):
                raise
            found = Found("", {"left_out": [{"what": "the text: pictures of the pages are sent"}]})
        return _result(found, bytes=len(content))

    def content(self, task: Task, name: str, source: Mapping[str, Any]) -> bytes:
        """Read the file of a document, below the root or from the service."""
        if "path" in source:
            return self._read_path(str(source["path"]), name)
        if "content_url" in source:
            return Download(self.address, self.limits.bytes).fetch(task, name, str(source["content_url"]))
        message = f"The task for document {name!r} has no file: neither content_url nor path."
        raise TaskFailed("bad_payload", message, retryable=False)

    def _read_inline(self, text: str, media_type: str, name: str) -> dict[str, Any]:
        """Read a text of the payload. It is decoded already, so its encoding is not part of the metadata."""
        declared = media_type.partition(";")[0]
        found = read(text.encode("utf-8", "replace"), name, f"{declared}; charset=utf-8", self.limits)
        metadata = {key: value for key, value in found.metadata.items() if key != "encoding"}
        return _result(Found(found.text, metadata))

    def _allowed_root(self, name: str) -> DocumentsRoot:
        if self.root is None:
            message = (
                f"Document {name!r} is in a folder, and this worker may read no folder: "
                "start it with --documents-root (INTERLOCK_DOCUMENTS_ROOT)."
            )
            raise TaskFailed("no_documents_root", message, retryable=False)
        return self.root

    def _read_path(self, path: str, name: str) -> bytes:
        """Read a file below the root, or a document of an archive or a mailbox there."""
        root = self._allowed_root(name)
        container, member = containers.split(path)
        if not container or root.is_folder(container):
            return root.read(path, self.limits.bytes)
        with root.opened(container) as file:
            return containers.read(container, file, member, self.limits.bytes)

    def _list_folder(self, task: Task, pattern: str) -> dict[str, Any]:
        """List the documents that match, with a hash by which equal ones are recognised."""
        folder = Folder(self._allowed_root(pattern), self.limits.bytes, lambda: task.stopped)
        try:
            result = folder.result(pattern)
        except TooManyFiles as error:
            message = f"The folder {pattern!r} is too large: {error}."
            raise TaskFailed("too_large", message, retryable=False) from error
        except Stopped as error:
            raise TaskFailed("stopped", "The list of this folder is no longer needed.") from error
        if not result["documents"]:
            raise Unreadable("is a folder without a file: nothing below the worker's root matches it")
        return result


def _result(found: Found, **more: Any) -> dict[str, Any]:
    return {"text": found.text, "metadata": {**found.metadata, **more, "characters": len(found.text)}}
