"""The client of the workers' API: one method for each call. Every failed call is an exception of service_answers.py."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import requests

from app.worker.service.loopback import is_loopback
from app.worker.service.outage import Outage
from app.worker.service.service_answers import (
    NOT_THE_SERVICE,
    Refused,
    Unavailable,
    answer_of,
    failure_of,
    failure_of_no_answer,
)

CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
MAX_LEASES = 1_000  # that one heartbeat or release may name


@dataclass(frozen=True)
class Address:
    """The service's URL, without a slash at its end, and the token to use there."""

    url: str
    token: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request. As `auth` of a request it also keeps requests from reading .netrc."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    @property
    def proxies(self) -> dict[str, str]:
        """The argument `proxies` of a request: no proxy for a service on this machine, else the environment's."""
        return {"http": "", "https": ""} if is_loopback(self.url) else {}


@dataclass(frozen=True)
class Granted:
    """The rows of an answer, and for each row how many seconds its lease lasts from the answer on."""

    rows: list[dict[str, Any]]
    lease_seconds: list[float]
    answer: dict[str, Any]  # all of it


class Client:
    """Makes the calls. Any thread may use it; each thread has its own connection."""

    def __init__(self, address: Address, worker: str) -> None:
        self.address = address
        self.worker = worker
        self.outage = Outage(address.url)
        self.answered = 0  # calls that the service answered, with any verdict; a lost count of two threads does no harm
        self._local = threading.local()

    def lease(
        self,
        max_tasks: int,
        wait_seconds: float,
        lease_seconds: int | None = None,
        batch_id: int | None = None,
        can: list[str] | None = None,
    ) -> Granted:
        """Lease up to `max_tasks` tasks that it `can` do; the service waits up to `wait_seconds` for the first."""
        options = {"lease_seconds": lease_seconds, "batch_id": batch_id, "can": can}
        body: dict[str, Any] = {"worker": self.worker, "max_tasks": max_tasks, "wait_seconds": wait_seconds}
        body |= {name: value for name, value in options.items() if value is not None}
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
            body = orjson.dumps({"leases": leases[start : start + MAX_LEASES]})
            self._call("tasks/release", "leases", body, timeout_seconds)

    def report_connections(self, connections: list[dict[str, Any]]) -> None:
        """Report what calls of connections have shown."""
        body = orjson.dumps({"worker": self.worker, "connections": connections})
        self._call("connections", "connections", body, READ_SECONDS)

    def report(self, body: bytes, task_ids: list[str]) -> list[dict[str, Any]]:
        """Send the reports of these tasks in bulk; return the verdict on each, in order."""
        answer, _ = self._call("tasks/report", "reports", body, READ_SECONDS, task_ids)
        return list(answer["reports"])

    def _granted(self, call: str, noun: str, body: dict[str, Any], timeout_seconds: float) -> Granted:
        answer, response = self._call(f"tasks/{call}", noun, orjson.dumps(body), timeout_seconds)
        rows = answer[noun]
        try:
            expiries = [row.get("lease_expires_at") for row in rows]
            left = {at: _seconds_left(at, response) for at in set(expiries)}  # many leases of an answer end together
            return Granted(rows, [left[at] for at in expiries], answer)
        except (TypeError, ValueError) as error:
            raise Unavailable(NOT_THE_SERVICE) from error

    def _call(
        self, call: str, noun: str, body: bytes, timeout_seconds: float, task_ids: list[str] | None = None
    ) -> tuple[dict[str, Any], requests.Response]:
        """Make one call, without retries, and read its answer with rows of `noun`; of `task_ids`, if they are given."""
        try:
            answer, response = self._post(call, noun, body, timeout_seconds)
            if task_ids is not None and [row.get("task_id") for row in answer[noun]] != task_ids:
                raise Unavailable(NOT_THE_SERVICE, response.status_code)
        except Unavailable as failure:
            self.outage.failed(str(failure))
            raise
        except Refused:
            self.answered += 1
            raise
        self.answered += 1
        self.outage.ended()
        return answer, response

    def _post(
        self, call: str, noun: str, body: bytes, timeout_seconds: float
    ) -> tuple[dict[str, Any], requests.Response]:
        try:
            response = self._session().post(
                f"{self.address.url}/api/{call}",
                data=body,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                timeout=(min(CONNECT_SECONDS, timeout_seconds), timeout_seconds),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise failure_of_no_answer(error) from error
        if response.status_code != 200:
            raise failure_of(response)
        return answer_of(response, noun), response

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.auth = self.address
            # Each request would read the proxies and certificates of the environment again: a third of its time.
            found = session.merge_environment_settings(self.address.url, self.address.proxies, None, None, None)
            session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False
        return session


def _seconds_left(expires_at: str | None, response: requests.Response) -> float:
    """Compute the rest of a lease by the clock of the service's database: this machine's clock may be wrong."""
    if not expires_at:
        return 0.0
    if at := response.headers.get("Database-Time"):
        return max((datetime.fromisoformat(expires_at) - datetime.fromisoformat(at)).total_seconds(), 0.0)
    answered_at = response.headers.get("Date")
    now = parsedate_to_datetime(answered_at) if answered_at else datetime.now(UTC)
    left = (datetime.fromisoformat(expires_at) - now).total_seconds()
    return max(left - 1.0, left / 2, 0.0)  # Date has no fraction of a second: `left` may be up to 1 s too long
