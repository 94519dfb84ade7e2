"""The API over HTTP: one call a method, and one exception for each thing a worker has to do about an answer.

Away: wait and try again. Refused: this request will never do. Unwelcome: stop, an operator has to act.
Knows how to ask; not when, and not what a task is for.
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
TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
MOST_LEASES = 1_000  # that one heartbeat or release may name
MOST_RETRY_AFTER_SECONDS = 30.0


class Away(Exception):
    """No answer, or one that says to come back; `status` is None where there was none."""

    def __init__(self, reason: str, status: int | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Refused(Exception):
    """The service understood and said no."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class Unwelcome(Refused):
    """401 or 403: the token is not valid here, or not a worker's."""


@dataclass(frozen=True)
class Address:
    """Where the service is and who asks. `url` has no slash at its end."""

    url: str
    token: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request; as `auth` of a call it also keeps a .netrc from doing so."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


@dataclass(frozen=True)
class Granted:
    """What the service granted: the answer, and the seconds each lease lasts from when it was asked for."""

    rows: list[dict[str, Any]]
    lease_seconds: list[float]


class Client:
    """Calls for any number of threads; each has its own connection."""

    def __init__(self, address: Address, worker: str) -> None:
        self.address = address
        self.worker = worker
        self.outage = Outage(address.url)
        self._local = threading.local()

    def lease(
        self, max_tasks: int, wait_seconds: float, lease_seconds: int | None = None, batch_id: int | None = None
    ) -> Granted:
        """Lease up to `max_tasks` tasks, waiting up to `wait_seconds` for the first."""
        wanted = {"max_tasks": max_tasks, "wait_seconds": wait_seconds}
        also = {"lease_seconds": lease_seconds, "batch_id": batch_id}
        body = {"worker": self.worker, **wanted, **{k: v for k, v in also.items() if v is not None}}
        return self._granted("lease", "tasks", body, READ_SECONDS + wait_seconds)

    def heartbeat(self, leases: Iterable[dict[str, str]], lease_seconds: int | None = None) -> Granted:
        """Renew up to 1000 leases."""
        body: dict[str, Any] = {"worker": self.worker, "leases": list(leases)}
        if lease_seconds is not None:
            body["lease_seconds"] = lease_seconds
        return self._granted("heartbeat", "leases", body, READ_SECONDS)

    def release(self, leases: list[dict[str, str]], timeout_seconds: float) -> None:
        """Hand leases back, however many; `timeout_seconds` is for each thousand."""
        for start in range(0, len(leases), MOST_LEASES):
            self.post("release", orjson.dumps({"leases": leases[start : start + MOST_LEASES]}), timeout_seconds)

    def report(self, body: bytes) -> list[dict[str, Any]]:
        """Send a bulk report; return the verdicts, in order."""
        return self._rows(self.post("report", body), "reports")

    def post(self, call: str, body: bytes, timeout_seconds: float = READ_SECONDS) -> requests.Response:
        """Make one call of the workers' protocol, once. Raises Away, Refused, Unwelcome."""
        try:
            response = self._session().post(
                f"{self.address.url}/api/tasks/{call}",
                data=body,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                timeout=(min(CONNECT_SECONDS, timeout_seconds), timeout_seconds),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise self._away(Away(why(error))) from error
        if response.status_code in TRY_AGAIN:
            wait_seconds = retry_after(response)
            raise self._away(Away(reason_of(response), response.status_code, wait_seconds))
        if response.status_code in (401, 403):
            raise Unwelcome(response.status_code, reason_of(response))
        if response.status_code != 200:
            raise Refused(response.status_code, reason_of(response))
        self.outage.over()
        return response

    def _away(self, away: Away) -> Away:
        self.outage.goes_on(str(away))
        return away

    def _granted(self, call: str, noun: str, body: dict[str, Any], timeout_seconds: float) -> Granted:
        response = self.post(call, orjson.dumps(body), timeout_seconds)
        rows = self._rows(response, noun)
        return Granted(rows, [_seconds_left(row.get("lease_expires_at"), response) for row in rows])

    def _rows(self, response: requests.Response, noun: str) -> list[dict[str, Any]]:
        try:
            return list(orjson.loads(response.content)[noun])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise self._away(Away("it answers something that is not Interlock's")) from error

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.auth = self.address
        return session


def why(error: requests.RequestException) -> str:
    """Say in a word why there was no answer."""
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "there is no connection"
    return type(error).__name__


def reason_of(response: requests.Response) -> str:
    """Read the sentence of a problem document; whatever else it is, say which answer it was."""
    try:
        problem = orjson.loads(response.content)
        return str(problem["detail"])[:500]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        target = response.headers.get("Location")
        return f"it answers {response.status_code} {response.reason}" + (f" to {target}" if target else "")


def retry_after(response: requests.Response) -> float | None:
    """Read Retry-After in seconds, held to a limit; the form with a date is read as absent."""
    try:
        return min(max(float(response.headers["Retry-After"]), 0.1), MOST_RETRY_AFTER_SECONDS)
    except (KeyError, ValueError):
        return None


def _seconds_left(expires_at: str | None, response: requests.Response) -> float:
    """Reckon by the service's clock, not ours: Date leaves out the fraction of its second, so up to one is too many."""
    if not expires_at:
        return 0.0
    asked_at = response.headers.get("Date")
    now = parsedate_to_datetime(asked_at) if asked_at else datetime.now(UTC)
    left = (datetime.fromisoformat(expires_at) - now).total_seconds()
    return max(left - 1.0, left / 2, 0.0)
