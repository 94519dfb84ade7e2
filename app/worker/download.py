"""The content of an uploaded document, fetched from the service, and from nowhere else."""

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
import stamina

from app.worker.client import CONNECT_SECONDS, READ_SECONDS, TRY_AGAIN, Address, reason_of, why
from app.worker.task import TaskFailed

CHUNK_BYTES = 64 * 1024
ATTEMPTS = 4


class Unavailable(Exception):
    """The document's content cannot be had just now."""


@dataclass(frozen=True)
class Download:
    """Fetches up to `most_bytes`."""

    address: Address
    most_bytes: int

    def fetch(self, name: str, content_url: str) -> bytes:
        """Fetch a document. Raises TaskFailed, in a sentence that names it."""
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
