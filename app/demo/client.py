"""The demo's client of the API."""

import uuid
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Any

import orjson
import requests
import stamina

CALL_SECONDS = 30.0  # for one call with all its retries
RETRYABLE = {429, 502, 503, 504}


class DemoFailed(Exception):
    """The demo cannot go on. The message is a sentence for the person who started it."""


class NoAnswer(Exception):
    """The service did not answer, or its answer allows another attempt."""


class Client:
    """Makes the calls, with retries. A POST has an idempotency key, so that its retries count once."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()
        self._session.auth = self._sign

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._session.close()

    def get(self, path: str, **query: Any) -> Any:
        """GET JSON."""
        return self._call("GET", path, params=query).json()

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        """POST JSON. A refusal (409) is returned, not raised."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return self._call("POST", path, refusals={409}, json=body, headers=key)

    def lines(self, path: str) -> Iterator[dict[str, Any]]:
        """GET JSON lines."""
        for line in self._call("GET", path).content.splitlines():
            yield orjson.loads(line)

    def _call(self, method: str, path: str, refusals: Collection[int] = (), **more: Any) -> requests.Response:
        retrying = stamina.RetryingCaller(attempts=None, timeout=CALL_SECONDS, wait_max=2.0)
        try:
            response = retrying(NoAnswer, self._call_once, method, path, **more)
        except NoAnswer as error:
            raise DemoFailed(f"The service at {self.url} does not answer: {error}.") from error
        if response.ok or response.status_code in refusals:
            return response
        raise DemoFailed(f"The service at {self.url} refuses ({response.status_code}): {detail_of(response)}")

    def _call_once(self, method: str, path: str, **more: Any) -> requests.Response:
        try:
            response = self._session.request(method, self.url + path, timeout=(5, 15), **more)
        except requests.RequestException as error:
            raise NoAnswer(type(error).__name__) from error
        if response.status_code in RETRYABLE or b"idempotency_key_in_use" in response.content[:1000]:
            raise NoAnswer(detail_of(response))
        return response


def detail_of(response: requests.Response) -> str:
    """Read the detail of a problem document. For any other answer, describe its status."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason}"
