"""Downloads the content of an uploaded document from the service."""

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
import stamina

from app.worker.client import (
    CONNECT_SECONDS,
    READ_SECONDS,
    RETRYABLE,
    Address,
    Unavailable,
    reason_of,
    reason_of_no_answer,
)
from app.worker.task import TaskFailed

CHUNK_BYTES = 64 * 1024
ATTEMPTS = 4


@dataclass(frozen=True)
class Download:
    """Downloads documents of up to `max_bytes` bytes."""

    address: Address
    max_bytes: int

    def fetch(self, name: str, content_url: str) -> bytes:
        """Download a document. Raises TaskFailed with a sentence that names the document."""
        url = self._resolved(name, content_url)
        try:
            for attempt in stamina.retry_context(on=Unavailable, attempts=ATTEMPTS, wait_max=2.0, wait_jitter=0.1):
                with attempt:
                    return self._fetch_once(name, url)
        except Unavailable as error:
            raise TaskFailed("content_unavailable", f"Document {name!r} could not be fetched: {error}.") from error
        raise AssertionError("stamina ends with the content or an exception")

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
                url, auth=self.address, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True, allow_redirects=False
            ) as response:
                if response.status_code in RETRYABLE:
                    raise Unavailable(reason_of(response))
                if response.status_code != 200:
                    message = f"Document {name!r} could not be fetched: {reason_of(response)}"
                    raise TaskFailed("content_unavailable", message, response.status_code in (401, 403))
                return self._read(name, response)
        except requests.RequestException as error:
            raise Unavailable(reason_of_no_answer(error)) from error

    def _read(self, name: str, response: requests.Response) -> bytes:
        content = bytearray()
        for chunk in response.iter_content(CHUNK_BYTES):
            content += chunk
            if len(content) > self.max_bytes:
                message = f"Document {name!r} is larger than {self.max_bytes} bytes."
                raise TaskFailed("too_large", message, retryable=False)
        return bytes(content)
