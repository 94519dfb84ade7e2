"""Downloads the content of an uploaded document from the service."""

import time
from dataclasses import dataclass
from functools import partial
from urllib.parse import urljoin, urlsplit

import requests

from app.worker.service.client import CONNECT_SECONDS, READ_SECONDS, Address
from app.worker.service.retries import call_with_retries
from app.worker.service.service_answers import (
    NOT_THE_SERVICE,
    Refused,
    Unauthorized,
    Unavailable,
    failure_of,
    failure_of_no_answer,
    media_type_of,
)
from app.worker.task import Task, TaskFailed

CHUNK_BYTES = 64 * 1024
MAX_SECONDS = 300.0  # of all attempts; then the task fails, and is tried again by its batch


@dataclass(frozen=True)
class Download:
    """Downloads documents of up to `max_bytes` bytes."""

    address: Address
    max_bytes: int

    def fetch(self, task: Task, name: str, content_url: str) -> bytes:
        """Download a document. Raises TaskFailed with a sentence that names the document."""
        url = self._resolved(name, content_url)
        ends_at = time.monotonic() + MAX_SECONDS
        try:
            return call_with_retries(
                partial(self._fetch_once, name, url), lambda *_: not task.stopped and time.monotonic() < ends_at
            )
        except (Unavailable, Refused) as failure:
            may_end = isinstance(failure, Unavailable | Unauthorized)
            message = f"Document {name!r} could not be fetched: {failure}."
            raise TaskFailed("content_unavailable", message, retryable=may_end) from failure

    def _resolved(self, name: str, content_url: str) -> str:
        """Make the URL absolute. Any other host than the service is refused: it must not get the token."""
        at_root = content_url.startswith("/") and not content_url.startswith("//")
        url = self.address.url + content_url if at_root else urljoin(self.address.url + "/", content_url)
        if urlsplit(url)[:2] != urlsplit(self.address.url)[:2]:
            message = f"The content of document {name!r} is not on the service: {url}."
            raise TaskFailed("bad_payload", message, retryable=False)
        return url

    def _fetch_once(self, name: str, url: str) -> bytes:
        try:
            with requests.get(
                url,
                auth=self.address,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                stream=True,
                allow_redirects=False,
                proxies=self.address.proxies,
            ) as response:
                if response.status_code != 200:
                    raise failure_of(response)
                # The service sends every document in this way, and no page of a proxy has this header.
                if media_type_of(response) != "application/octet-stream" or "X-Media-Type" not in response.headers:
                    raise Unavailable(NOT_THE_SERVICE, response.status_code)
                return self._read(name, response)
        except requests.RequestException as error:
            raise failure_of_no_answer(error) from error

    def _read(self, name: str, response: requests.Response) -> bytes:
        content = bytearray()
        for chunk in response.iter_content(CHUNK_BYTES):
            content += chunk
            if len(content) > self.max_bytes:
                message = f"Document {name!r} is larger than {self.max_bytes} bytes."
                raise TaskFailed("too_large", message, retryable=False)
        return bytes(content)
