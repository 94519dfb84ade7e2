"""Every call of contract 5 as a table: its method and path, who may make it, and a body that it takes.

The tests hold it against the routes that the application has and against the document that it serves.
"""

from dataclasses import dataclass
from typing import Any

from werkzeug.test import TestResponse

from tests.support.client import ApiClient

UNKNOWN = 999_999  # an id that nothing has
READ = frozenset({"viewer", "operator", "admin"})
OPERATE = frozenset({"operator", "admin"})
WORK = frozenset({"worker", "admin"})
ADMINISTER = frozenset({"admin"})
ALL = READ | WORK


@dataclass(frozen=True)
class Call:
    """One call; the path in braces as the OpenAPI document writes it."""

    method: str
    path: str
    roles: frozenset[str]
    body: dict[str, Any] | None = None

    @property
    def address(self) -> str:
        """The path with ids that nothing has: who may call gets 404, not an effect."""
        return at(self.path, UNKNOWN)

    def make(self, client: ApiClient, **more: Any) -> TestResponse:
        """Make the call with its body, or with what `more` says instead."""
        given = {"json": self.body} if self.body is not None and not {"data", "json"} & more.keys() else {}
        response = client.open(self.address, method=self.method, **{**given, **more})
        response.close()  # a stream of events goes on otherwise
        return response

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def at(path: str, ident: object) -> str:
    """Put an id in the place of each parameter of a path."""
    for name in ("batch_id", "document_id", "request_id", "task_id", "token_id", "webhook_id"):
        path = path.replace(f"{{{name}}}", str(ident))
    return path


_LEASE = {"task_id": "1", "lease_token": "t"}
_ERROR = {"code": "timeout", "message": "no answer"}
_DOCUMENTS = {"documents": [{"name": "a.txt", "text": "x"}]}
_COMPLETE = {"lease_token": "t", "result": {}}
_REPORT = {"reports": [{**_LEASE, "outcome": "completed", "result": {}}]}

_CONNECTIONS = {"worker": "w", "connections": [{"connection": "openai", "outcome": "succeeded"}]}

_WEBHOOK = {"url": "https://example.com/hook", "types": ["batch.paused"]}

CALLS = (
    Call("POST", "/api/batches", OPERATE, {"name": "contracts"}),
    Call("GET", "/api/batches", READ),
    Call("GET", "/api/batches/{batch_id}", READ),
    Call("PATCH", "/api/batches/{batch_id}", OPERATE, {"name": "renamed"}),
    Call("PUT", "/api/batches/{batch_id}/input", OPERATE, {"options": {"max_attempts": 5}}),
    Call("DELETE", "/api/batches/{batch_id}", OPERATE),
    Call("POST", "/api/batches/{batch_id}/documents", OPERATE, _DOCUMENTS),
    Call("GET", "/api/batches/{batch_id}/documents", READ),
    Call("PUT", "/api/batches/{batch_id}/documents/{document_id}", OPERATE, {"text": "x"}),
    Call("DELETE", "/api/batches/{batch_id}/documents/{document_id}", OPERATE),
    Call("GET", "/api/batches/{batch_id}/actions", READ),
    Call("POST", "/api/batches/{batch_id}/action", OPERATE, {"action": "stage"}),
    Call("GET", "/api/batches/{batch_id}/audit", READ),
    Call("GET", "/api/batches/{batch_id}/tasks", READ),
    Call("GET", "/api/batches/{batch_id}/results", READ),
    Call("GET", "/api/batches/{batch_id}/report", READ),
    Call("GET", "/api/batches/{batch_id}/requests", READ),
    Call("GET", "/api/documents/{document_id}/content", ALL),
    Call("GET", "/api/requests/{request_id}", READ),
    Call("POST", "/api/tasks/lease", WORK, {"worker": "w"}),
    Call("POST", "/api/tasks/heartbeat", WORK, {"worker": "w", "lease_seconds": 60, "leases": [_LEASE]}),
    Call("POST", "/api/tasks/release", WORK, {"leases": [_LEASE]}),
    Call("POST", "/api/tasks/report", WORK, _REPORT),
    Call("POST", "/api/tasks/{task_id}/complete", WORK, _COMPLETE),
    Call("POST", "/api/tasks/{task_id}/fail", WORK, {"lease_token": "t", "error": _ERROR}),
    Call("GET", "/api/tasks/{task_id}", READ),
    Call("POST", "/api/connections", WORK, _CONNECTIONS),
    Call("GET", "/api/connections", READ),
    Call("GET", "/api/workers", READ),
    Call("POST", "/api/tokens", ADMINISTER, {"name": "somebody", "role": "viewer"}),
    Call("GET", "/api/tokens", ADMINISTER),
    Call("DELETE", "/api/tokens/{token_id}", ADMINISTER),
    Call("POST", "/api/webhooks", ADMINISTER, _WEBHOOK),
    Call("GET", "/api/webhooks", ADMINISTER),
    Call("GET", "/api/webhooks/{webhook_id}", ADMINISTER),
    Call("PATCH", "/api/webhooks/{webhook_id}", ADMINISTER, {"enabled": False}),
    Call("DELETE", "/api/webhooks/{webhook_id}", ADMINISTER),
    Call("POST", "/api/webhooks/{webhook_id}/rotate", ADMINISTER),
    Call("POST", "/api/webhooks/{webhook_id}/test", ADMINISTER),
    Call("GET", "/api/webhooks/{webhook_id}/deliveries", ADMINISTER),
    Call("POST", "/api/webhooks/{webhook_id}/replay", ADMINISTER, {"message_ids": ["msg_1_2"]}),
    Call("GET", "/api/state-machine", READ),
    Call("GET", "/api/activity", READ),
    Call("GET", "/api/search", READ),
    Call("GET", "/api/events", READ),
)
WITH_BODY = tuple(call for call in CALLS if call.body is not None)
WITH_ID = tuple(call for call in CALLS if "{" in call.path)
LISTS = tuple(
    call
    for call in CALLS
    if call.method == "GET"
    and call.path.rsplit("/", 1)[-1]
    in (
        "batches",
        "documents",
        "audit",
        "tasks",
        "report",
        "requests",
        "connections",
        "tokens",
        "webhooks",
        "deliveries",
    )
)
PUBLIC = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/openapi.json",
    "/api/docs",
    "/api/docs/start.js",
    "/api/docs/assets/swagger-ui.css",
    "/api/docs/assets/swagger-ui-bundle.js",
    "/api/docs/assets/favicon-32x32.png",
)
