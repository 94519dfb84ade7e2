"""The client of the workers' API: one method for each call, and one exception for each reaction to a failed call.

Unavailable: wait and repeat the call. Refused: do not repeat it. Unauthorized: stop, since an operator has to act.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import requests

from app.worker.outage import Outage

CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
RETRYABLE = {408, 425, 429, 500, 502, 503, 504}
MAX_LEASES = 1_000  # that one heartbeat or release may name
MAX_RETRY_AFTER_SECONDS = 30.0


class Unavailable(Exception):
    """No answer, or an answer that allows another attempt. `status` is None when there was no answer."""

    def __init__(self, reason: str, status: int | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Refused(Exception):
    """The service understood the request and refused it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class Unauthorized(Refused):
    """401 or 403: the token is not valid, or it is not a worker's token."""


@dataclass(frozen=True)
class Address:
    """The service's URL, without a slash at its end, and the token to use there."""

    url: str
    token: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request. As `auth` of a request it also keeps requests from reading .netrc."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


@dataclass(frozen=True)
class Granted:
    """The rows of an answer, and for each row how many seconds its lease lasts from the answer on."""

    rows: list[dict[str, Any]]
    lease_seconds: list[float]


class Client:
    """Makes the calls. Any thread may use it; each thread has its own connection."""

    def __init__(self, address: Address, worker: str) -> None:
        self.address = address
        self.worker = worker
        self.outage = Outage(address.url)
        self._local = threading.local()

    def lease(
        self, max_tasks: int, wait_seconds: float, lease_seconds: int | None = None, batch_id: int | None = None
    ) -> Granted:
        """Lease up to `max_tasks` tasks; the service waits up to `wait_seconds` for the first."""
        body: dict[str, Any] = {"worker": self.worker, "max_tasks": max_tasks, "wait_seconds": wait_seconds}
        if lease_seconds is not None:
            body["lease_seconds"] = lease_seconds
        if batch_id is not None:
            body["batch_id"] = batch_id
        return self._granted("lease", "tasks", body, READ_SECONDS + wait_seconds)

    def heartbeat(self, leases: Iterable[dict[str, str]], lease_seconds: int | None = None) -> Granted:
        """Renew up to MAX_LEASES leases."""
        body: dict[str, Any] = {"worker": self.worker, "leases": list(leases)}
        if lease_seconds is not None:
            body["lease_seconds"] = lease_seconds
        return self._granted("heartbeat", "leases", body, READ_SECONDS)

    def release(self, leases: list[dict[str, str]], timeout_seconds: float) -> None:
        """Release any number of leases. `timeout_seconds` is for each request of MAX_LEASES leases."""
        for start in range(0, len(leases), MAX_LEASES):
            self.post("release", orjson.dumps({"leases": leases[start : start + MAX_LEASES]}), timeout_seconds)

    def report(self, body: bytes) -> list[dict[str, Any]]:
        """Send reports in bulk; return the verdict on each, in order."""
        return self._rows(self.post("report", body), "reports")

    def post(self, call: str, body: bytes, timeout_seconds: float = READ_SECONDS) -> requests.Response:
        """Make one call, without retries. Raises Unavailable, Refused and Unauthorized."""
        try:
            response = self._session().post(
                f"{self.address.url}/api/tasks/{call}",
                data=body,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                timeout=(min(CONNECT_SECONDS, timeout_seconds), timeout_seconds),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise self._noted(Unavailable(reason_of_no_answer(error))) from error
        if response.status_code in RETRYABLE:
            wait_seconds = retry_after(response)
            raise self._noted(Unavailable(reason_of(response), response.status_code, wait_seconds))
        if response.status_code in (401, 403):
            raise Unauthorized(response.status_code, reason_of(response))
        if response.status_code != 200:
            raise Refused(response.status_code, reason_of(response))
        self.outage.ended()
        return response

    def _noted(self, failure: Unavailable) -> Unavailable:
        self.outage.failed(str(failure))
        return failure

    def _granted(self, call: str, noun: str, body: dict[str, Any], timeout_seconds: float) -> Granted:
        response = self.post(call, orjson.dumps(body), timeout_seconds)
        rows = self._rows(response, noun)
        return Granted(rows, [_seconds_left(row.get("lease_expires_at"), response) for row in rows])

    def _rows(self, response: requests.Response, noun: str) -> list[dict[str, Any]]:
        try:
            return list(orjson.loads(response.content)[noun])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise self._noted(Unavailable("its answer is not Interlock's")) from error

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.auth = self.address
        return session


def reason_of_no_answer(error: requests.RequestException) -> str:
    """Describe in a few words why there was no answer."""
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "there is no connection"
    return type(error).__name__


def reason_of(response: requests.Response) -> str:
    """Read the detail of a problem document. For any other answer, describe its status."""
    try:
        problem = orjson.loads(response.content)
        return str(problem["detail"])[:500]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        target = response.headers.get("Location")
        return f"it answers {response.status_code} {response.reason}" + (f" to {target}" if target else "")


def retry_after(response: requests.Response) -> float | None:
    """Read Retry-After in seconds, within limits. Its date form is ignored."""
    try:
        return min(max(float(response.headers["Retry-After"]), 0.1), MAX_RETRY_AFTER_SECONDS)
    except (KeyError, ValueError):
        return None


def _seconds_left(expires_at: str | None, response: requests.Response) -> float:
    """Compute the rest of a lease by the service's clock: this machine's clock may be wrong."""
    if not expires_at:
        return 0.0
    answered_at = response.headers.get("Date")
    now = parsedate_to_datetime(answered_at) if answered_at else datetime.now(UTC)
    left = (datetime.fromisoformat(expires_at) - now).total_seconds()
    return max(left - 1.0, left / 2, 0.0)  # Date has no fraction of a second: `left` may be up to 1 s too long
