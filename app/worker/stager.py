"""Staging: the text of one document, from its payload, from the service, or from a file below this worker's root;
and the files of a folder, each of which becomes a document.

What cannot be read fails for good, in a sentence that names the document and says why.
"""

import hashlib
import mimetypes
from dataclasses import dataclass, field
from typing import Any

from app.worker.client import Address
from app.worker.documents_root import DocumentsRoot, NotFoundThere, PathRefused, TooManyFiles
from app.worker.download import Download
from app.worker.extraction import Extracted, Limits, Unreadable, extract
from app.worker.extraction.kinds import BY_ENDING, MEDIA_TYPES
from app.worker.task import Task, TaskFailed

BIGGEST_SIZE = 2**53


@dataclass(frozen=True)
class Stager:
    """The built-in stage handler: `{"text", "metadata"}` of a document, or `{"documents"}` of a folder.

    Plain data, so that it can be pickled.
    """

    address: Address
    limits: Limits = field(default_factory=Limits)
    root: DocumentsRoot | None = None

    def __call__(self, task: Task) -> dict[str, Any]:
        payload = task.payload
        document = payload.get("document") or {}
        name = str(document.get("name") or f"of task {task.id}")
        media_type = str(document.get("media_type") or "")
        try:
            if "folder" in payload:
                return self._folder(task, str(payload["folder"]))
            if "text" in payload:
                return self._inline(str(payload["text"]), media_type, name)
            if "path" in payload:
                content = self._allowed_root(name).read(str(payload["path"]), self.limits.bytes)
            elif "content_url" in payload:
                content = Download(self.address, self.limits.bytes).fetch(name, str(payload["content_url"]))
            else:
                message = f"The task for document {name!r} has neither text nor content_url, path nor folder."
                raise TaskFailed("bad_payload", message, False)
            return _result(extract(content, media_type, name, self.limits), bytes=len(content))
        except Unreadable as error:
            code = "too_large" if error.too_large else "unreadable"
            raise TaskFailed(code, f"Document {name!r} {error.why}.", retryable=False) from error
        except NotFoundThere as error:
            raise TaskFailed("unreadable", f"Document {name!r} cannot be read: {error}.", retryable=False) from error
        except PathRefused as error:
            raise TaskFailed("path_refused", f"Document {name!r} is not read: {error}.", retryable=False) from error

    def _inline(self, text: str, media_type: str, name: str) -> dict[str, Any]:
        """Read a text of the payload: it is decoded already, so that only its form is in question."""
        declared = media_type.partition(";")[0]
        found = extract(text.encode("utf-8", "replace"), f"{declared}; charset=utf-8", name, self.limits)
        metadata = {key: value for key, value in found.metadata.items() if key != "encoding"}
        return _result(Extracted(found.text, metadata))

    def _allowed_root(self, name: str) -> DocumentsRoot:
        if self.root is None:
            message = (
                f"Document {name!r} lies in a folder, and this worker may read none: "
                "start it with --documents-root (INTERLOCK_DOCUMENTS_ROOT)."
            )
            raise TaskFailed("no_documents_root", message, retryable=False)
        return self.root

    def _folder(self, task: Task, pattern: str) -> dict[str, Any]:
        """List the files of a folder, with what tells equal ones apart."""
        root = self._allowed_root(pattern)
        try:
            paths = root.matches(pattern, lambda: task.stopped)
        except TooManyFiles as error:
            message = f"The folder {pattern!r} is too large: {error}."
            raise TaskFailed("too_large", message, retryable=False) from error
        if not paths:
            raise Unreadable("is a folder without a file: nothing below the worker's root matches it")
        documents = []
        for path in paths:
            if task.stopped:
                raise TaskFailed("stopped", "Nobody waits for this folder any more.")
            documents.append(self._found(root, path))
        return {"documents": documents}

    def _found(self, root: DocumentsRoot, path: str) -> dict[str, Any]:
        size = min(root.locate(path).stat().st_size, BIGGEST_SIZE)
        try:
            # What is too large is never read; its place tells it from others.
            content = root.read(path, self.limits.bytes) if size <= self.limits.bytes else f"{size} {path}".encode()
        except NotFoundThere:
            content = path.encode("utf-8", "replace")  # its own task says what is wrong with it
        return {
            "name": path[-500:],
            "path": path,
            "media_type": media_type_of(path),
            "size_bytes": size,
            "sha256": hashlib.sha256(content).hexdigest(),
        }


def media_type_of(path: str) -> str:
    """Tell the media type by the ending of a name."""
    kind = BY_ENDING.get(path.rpartition(".")[2].lower())
    return MEDIA_TYPES[kind] if kind else mimetypes.guess_type(path)[0] or "application/octet-stream"


def _result(found: Extracted, **more: Any) -> dict[str, Any]:
    return {"text": found.text, "metadata": {**found.metadata, **more, "characters": len(found.text)}}
