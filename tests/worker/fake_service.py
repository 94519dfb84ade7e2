"""A service for the worker's tests: the workers' protocol over real HTTP, in memory, misbehaving on request.

`order("report", "drop_after", 503)` says how the next calls of `report` go wrong, in turn; then all is well again.
"""

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import wait_until


@dataclass
class FakeTask:
    payload: dict[str, Any]
    kind: str = "ANALYZE"
    status: str = "QUEUED"
    attempt: int = 0
    token: str = ""
    expires_at: float = 0.0
    is_probe: bool = False
    reports: list[dict[str, Any]] = field(default_factory=list)  # those that counted


class FakeService:
    """`start` and `stop` may be repeated; the tasks stay. `calls` holds every body that was received."""

    def __init__(self) -> None:
        self.tasks: dict[str, FakeTask] = {}
        self.calls: dict[str, list[Any]] = defaultdict(list)
        self.orders: dict[str, deque[Any]] = defaultdict(deque)
        self.files: dict[str, bytes] = {}
        self.lease_seconds = 60.0
        self.token = "the-token"
        self.unwanted: set[str] = set()  # tasks whose heartbeats are answered ok: false
        self.lock = threading.Lock()
        self.raw_reports: list[bytes] = []
        self.closed: dict[tuple[str, str | None], dict[str, Any]] = {}  # circuits
        self.probes: set[str] | None = None  # connections of which the next lease gives one task; None: at once
        self.checks: list[str] = []  # connections that the next lease asks to call without a task
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        service = self

        class Handler(_Handler):
            fake = service

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that went away is no error of this server."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def order(self, call: str, *answers: Any) -> None:
        """How the next calls go: a status, a (status, headers), a word for what goes wrong, or seconds to wait.

        The words are `page`, `drop_before`, `drop_after`. A function of the body may give one of all these or None,
        for every call until the test removes it.
        """
        self.orders[call].extend(answers)

    def add(self, amount: int = 1, kind: str = "ANALYZE", **payload: Any) -> list[str]:
        with self.lock:
            ids = [str(len(self.tasks) + 1 + n) for n in range(amount)]
            for number in ids:
                body = payload or {"connection": "test", "model": "m", "messages": [{"role": "user", "content": "Hi."}]}
                self.tasks[number] = FakeTask(dict(body), kind)
            return ids

    def statuses(self) -> dict[str, int]:
        with self.lock:
            found: dict[str, int] = defaultdict(int)
            for task in self.tasks.values():
                found[task.status] += 1
            return dict(found)

    def wait_for(self, condition: Callable[[], Any]) -> None:
        wait_until(condition, lambda: f"the condition, with {self.statuses()}")

    def wait_until_finished(self) -> None:
        self.wait_for(lambda: set(self.statuses()) <= {"COMPLETED", "FAILED"})

    # --- the protocol

    def lease(self, body: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + body.get("wait_seconds", 0)
        while True:
            with self.lock:
                leased = self._lease(body)
                checks, self.checks = self.checks, []
                closed = list(self.closed.values())
            if leased or checks or time.monotonic() > deadline:
                return {"tasks": leased, "closed": closed, "probe": checks}
            time.sleep(0.02)

    def _lease(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        leased = []
        for number, task in self.tasks.items():
            if task.status == "LEASED" and task.expires_at < time.time():
                task.status = "QUEUED"
            probes = self._withheld(task)
            if task.status == "QUEUED" and len(leased) < body.get("max_tasks", 1) and probes is not None:
                if self.probes:
                    self.probes -= probes
                task.is_probe = bool(probes)
                task.status, task.attempt = "LEASED", task.attempt + 1
                task.token = f"t.{number}.{task.attempt}"
                row = {"id": number, "batch_id": 1, "run": 1, "kind": task.kind, "attempt": task.attempt}
                row |= {"is_probe": True} if probes else {}
                leased.append({**row, "lease_token": task.token, "payload": task.payload, **self._renew(task)})
        return leased

    def _withheld(self, task: FakeTask) -> set[str] | None:
        """None if the circuit of a task is closed; else the connections of which it is the probe."""
        connection, model = connection_of(task), task.payload.get("model")
        if not {(connection, None), (connection, model)} & set(self.closed):
            return set()
        if self.probes is not None:
            return {connection} if connection in self.probes else None
        others = [each for each in self.tasks.values() if each.is_probe and each.status == "LEASED"]
        return None if connection in map(connection_of, others) else {connection}

    def _renew(self, task: FakeTask) -> dict[str, str]:
        task.expires_at = time.time() + self.lease_seconds
        at = datetime.now(UTC) + timedelta(seconds=self.lease_seconds)
        return {"lease_expires_at": at.isoformat().replace("+00:00", "Z")}

    def heartbeat(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            return {"leases": [self._beat(lease) for lease in body["leases"]]}

    def _beat(self, lease: dict[str, str]) -> dict[str, Any]:
        task = self.tasks[lease["task_id"]]
        current = task.token == lease["lease_token"] and task.status in ("LEASED", "QUEUED")
        if not current or lease["task_id"] in self.unwanted:
            return {"task_id": lease["task_id"], "ok": False, "reason": "the lease is over"}
        task.status = "LEASED"
        return {"task_id": lease["task_id"], "ok": True, **self._renew(task)}

    def release(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            for lease in body["leases"]:
                task = self.tasks[lease["task_id"]]
                assert task.token == lease["lease_token"]
                task.status, task.attempt, task.token = "QUEUED", task.attempt - 1, ""
            return {"leases": [{"task_id": lease["task_id"], "ok": True} for lease in body["leases"]]}

    def connections(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            for item in body["connections"]:
                key = item["connection"], item["model"]
                if item["outcome"] == "failed":
                    row = {"connection": key[0], "model": key[1], "class": item["class"], "reason": item["message"]}
                    self.closed[key] = {**row, "retry_after_seconds": item["retry_after_seconds"]}
                else:
                    self.closed.pop(key, None)
            return {"connections": body["connections"]}

    def report(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            return {"reports": [self._judge(report) for report in body["reports"]]}

    def _judge(self, report: dict[str, Any]) -> dict[str, Any]:
        task = self.tasks.get(report["task_id"])
        if task is None:
            return {"task_id": report["task_id"], "status": 404, "reason": "There is no such task."}
        if report in task.reports:  # a repeated report
            return {"task_id": report["task_id"], "status": 200}
        if task.token != report["lease_token"] or task.status not in ("LEASED", "QUEUED"):
            return {"task_id": report["task_id"], "status": 409, "reason": "The lease ran out."}
        task.reports.append(report)
        task.status = "COMPLETED" if report["outcome"] == "completed" else "FAILED"
        return {"task_id": report["task_id"], "status": 200}


def connection_of(task: FakeTask) -> str:
    return str(task.payload.get("connection", "jsonl"))


CODES = {401: "unauthenticated", 403: "forbidden"}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeService

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        order = self._next_order("content")
        if isinstance(order, int):
            self._problem(order, f"Refused on order: {order}.")
        elif isinstance(order, tuple):
            self._problem(order[0], "Refused on order.", **order[1])
        elif order == "page":
            self._answer(200, b"<html>Come back later.</html>", Content_Type="text/html")
        elif self.path in self.fake.files and self._signed():
            as_a_document = {"Content_Type": "application/octet-stream", "X_Media_Type": "text/plain"}
            self._answer(200, self.fake.files[self.path], **as_a_document)
        else:
            self._problem(404 if self._signed() else 401, "There is no such file.")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        call = self.path.rsplit("/", 1)[1]
        body = json.loads(raw)
        self.fake.calls[call].append(body)
        if call == "report":
            self.fake.raw_reports.append(raw)
        order = self._next_order(call)
        order = order(body) if callable(order) else order
        if not self._signed():
            self._problem(401, "This token is not valid.")
        elif order == "page":
            self._answer(200, b"<html>Come back later.</html>", Content_Type="text/html")
        elif order == "drop_before":
            self.close_connection = True
        elif order == "drop_after":
            getattr(self.fake, call)(body)
            self.close_connection = True
        elif isinstance(order, tuple):
            self._problem(order[0], "Refused on order.", **order[1])
        elif isinstance(order, int):
            self._problem(order, f"Refused on order: {order}.")
        else:
            if isinstance(order, float):
                time.sleep(order)
            self._answer(200, json.dumps(getattr(self.fake, call)(body)).encode())

    def _next_order(self, call: str) -> Any:
        with self.fake.lock:
            orders = self.fake.orders[call]
            if orders and callable(orders[0]):
                return orders[0]  # a rule stays until the test removes it
            return orders.popleft() if orders else None

    def _signed(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {self.fake.token}"

    def _problem(self, status: int, detail: str, **headers: str) -> None:
        code = CODES.get(status, f"code_{status}")
        body = {"type": f"urn:interlock:problem:{code}", "code": code, "detail": detail, "status": status}
        self._answer(status, json.dumps(body).encode(), **{"Content_Type": "application/problem+json", **headers})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        headers = {"Content_Type": "application/json", **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
