"""Staging: the text of one document, from the text in its payload or from the file behind its `content_url`.

Reads plain text and Markdown. What it cannot read fails for good, in a sentence that names the document.
"""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import stamina

from app.worker.client import CONNECT_SECONDS, READ_SECONDS, TRY_AGAIN, Address, reason_of, why
from app.worker.markdown import text_of_markdown
from app.worker.task import Task, TaskFailed

MOST_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
ATTEMPTS = 4
MARKDOWN = {"text/markdown", "text/x-markdown"}
AS_IT_STANDS = {
    "text/plain", "text/csv", "text/tab-separated-values", "application/json", "application/jsonl",
    "application/x-ndjson",
}  # fmt: skip
UNKNOWN = {"", "application/octet-stream"}
BY_ENDING = {".txt": "text/plain", ".text": "text/plain", ".md": "text/markdown", ".markdown": "text/markdown"}
READABLE = "plain text (.txt), Markdown (.md), CSV and JSON"
MARKS = [  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]


class Unavailable(Exception):
    """The document's content cannot be had just now."""


@dataclass(frozen=True)
class Stager:
    """The built-in stage handler: `{"text", "metadata"}` of a document. Plain data, so that it can be pickled."""

    address: Address
    most_bytes: int = MOST_BYTES

    def __call__(self, task: Task) -> dict[str, Any]:
        document = task.payload.get("document") or {}
        name = str(document.get("name") or f"of task {task.id}")
        media_type, _, parameters = str(document.get("media_type") or "").partition(";")
        read = reader_of(name, media_type.strip().lower(), "text" in task.payload)
        metadata: dict[str, Any] = {"media_type": media_type.strip().lower() or "text/plain"}
        if "text" in task.payload:
            raw = str(task.payload["text"])
        elif "content_url" in task.payload:
            content = self._fetch(name, str(task.payload["content_url"]))
            raw, metadata["encoding"] = decoded(name, content, charset_of(parameters))
            metadata["bytes"] = len(content)
        else:
            raise TaskFailed("bad_payload", f"The task for document {name!r} has neither text nor content_url.", False)
        text, found = read(raw)
        return {"text": text, "metadata": {**metadata, **found, "characters": len(text)}}

    def _fetch(self, name: str, content_url: str) -> bytes:
        url = self._resolved(name, content_url)
        try:
            for attempt in stamina.retry_context(on=Unavailable, attempts=ATTEMPTS, wait_max=2.0, wait_jitter=0.1):
                with attempt:
                    return self._download(name, url)
        except Unavailable as error:
            raise TaskFailed("content_unavailable", f"Document {name!r} could not be fetched: {error}.") from error
        raise AssertionError("a download ends in content or an exception")

    def _resolved(self, name: str, content_url: str) -> str:
        """Find the absolute address. The token is for the service alone: another host does not get it."""
        at_root = content_url.startswith("/") and not content_url.startswith("//")
        url = self.address.url + content_url if at_root else urljoin(self.address.url + "/", content_url)
        if urlsplit(url)[:2] != urlsplit(self.address.url)[:2]:
            raise TaskFailed("bad_payload", f"The content of document {name!r} lies elsewhere: {url}.", retryable=False)
        return url

    def _download(self, name: str, url: str) -> bytes:
        try:
            with requests.get(
                url, auth=self.address, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True, allow_redirects=False
            ) as response:
                if response.status_code in TRY_AGAIN:
                    raise Unavailable(reason_of(response))
                if response.status_code != 200:
                    message = f"Document {name!r} could not be fetched: {reason_of(response)}"
                    raise TaskFailed("content_unavailable", message, response.status_code in (401, 403))
                content = bytearray()
                for chunk in response.iter_content(CHUNK_BYTES):
                    content += chunk
                    if len(content) > self.most_bytes:
                        message = f"Document {name!r} is larger than {self.most_bytes} bytes."
                        raise TaskFailed("too_large", message, retryable=False)
                return bytes(content)
        except requests.RequestException as error:
            raise Unavailable(why(error)) from error


def reader_of(name: str, media_type: str, is_text: bool) -> Callable[[str], tuple[str, dict[str, Any]]]:
    """Choose how to read a document. Raises TaskFailed for a kind that is not readable here.

    `is_text`: its text came with the task, so that only the form is in question.
    """
    if media_type in UNKNOWN:
        ending = "." + name.rsplit(".", 1)[-1].lower() if "." in name else ""
        media_type = BY_ENDING.get(ending, "text/plain" if is_text else media_type)
    if media_type in MARKDOWN:
        return text_of_markdown
    if media_type in AS_IT_STANDS or is_text:
        return lambda raw: (raw, {})
    raise TaskFailed(
        "unreadable",
        f"Document {name!r} is of type {media_type or 'unknown'}, which this worker cannot read. It reads {READABLE}.",
        retryable=False,
    )


def charset_of(parameters: str) -> str | None:
    """Read `charset` from the parameters of a media type, if it names an encoding that is known here."""
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            try:
                return codecs.lookup(value.strip().strip("\"'")).name
            except LookupError:
                return None
    return None


def decoded(name: str, content: bytes, charset: str | None = None) -> tuple[str, str]:
    """Decode a file: by its byte order mark, its charset, as UTF-8, or else as Windows-1252 or Latin-1.

    Returns the text and the encoding. Raises TaskFailed for what is no text at all.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace"), encoding
    if b"\0" in content and not (charset or "").startswith(("utf-16", "utf-32")):
        raise TaskFailed("unreadable", f"Document {name!r} is no text: it holds NUL bytes.", retryable=False)
    for likely in filter(None, (charset, "utf-8", "cp1252")):
        try:
            return content.decode(likely), likely
        except (UnicodeDecodeError, LookupError):  # LookupError: a codec that makes no text, as base64
            continue
    return content.decode("latin-1"), "latin-1"
