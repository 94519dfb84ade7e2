"""The JSON objects of the API, as the contract lists them. An answer may have further fields."""

from typing import Any, NotRequired, TypedDict

Context = dict[str, Any]


class Failure(TypedDict):
    code: str
    message: str | None
    task_id: str | None


class Batch(TypedDict):
    id: int
    name: str
    description: str | None
    state: str
    version: int
    run: int
    failure: Failure | None
    progress: dict[str, dict[str, int]]
    usage: dict[str, Any]
    input: dict[str, Any]
    options: dict[str, Any]
    allowed_actions: list[str]
    created_at: str
    updated_at: str
    staged_at: str | None
    started_at: str | None
    finished_at: str | None
    waiting_for: NotRequired[list[dict[str, Any]]]
    duplicates: NotRequired[list[dict[str, str]]]


class Document(TypedDict):
    id: int
    number: int
    name: str
    media_type: str
    size_bytes: int
    sha256: str


class PossibleAction(TypedDict):
    action: str
    allowed: bool
    reason: str | None


class Decision(TypedDict):
    """The answer to an action: done, or queued (`success` is null then, and `request_id` is the request)."""

    success: bool | None
    batch_id: int
    action: str
    previous_state: NotRequired[str]
    new_state: NotRequired[str]
    version: NotRequired[int]
    batch: NotRequired[Batch]
    dry_run: NotRequired[bool]
    effect: NotRequired[dict[str, Any]]
    pauses_again: NotRequired[str | None]
    status: NotRequired[str]
    reason: NotRequired[str]
    request_id: NotRequired[str]
    queue_position: NotRequired[int]


class QueuedRequest(TypedDict):
    id: str
    batch_id: int
    action: str
    status: str
    reason: str | None
    version: int | None
    actor: str
    queue_position: NotRequired[int | None]
    created_at: str
    expires_at: str
    finished_at: str | None


class AuditRow(TypedDict):
    version: int
    trigger: str
    kind: str
    from_state: str | None
    to_state: str
    actor: str
    role: str
    reason: str | None
    context: Context
    request_id: str | None
    at: str


class Task(TypedDict):
    """A task of a list. The last five fields are those of a whole task."""

    id: str
    batch_id: int
    kind: str
    custom_id: str | None
    document: dict[str, Any] | None
    part: int | None
    parts: int | None
    prompt: str | None
    connection: str | None
    model: str | None
    run: int
    status: str
    attempt: int
    reused_from: str | None
    worker: str | None
    lease_expires_at: str | None
    available_at: str
    error: dict[str, Any] | None
    skipped: str | None
    truncated: bool
    finished_at: str | None
    usage: NotRequired[dict[str, Any]]
    result: NotRequired[dict[str, Any] | None]
    attempts: NotRequired[list[dict[str, Any]]]
    late_results: NotRequired[list[dict[str, Any]]]
    late_results_left_out: NotRequired[int]


class Result(TypedDict):
    """A line of results."""

    task_id: str
    custom_id: str | None
    document: dict[str, Any] | None
    part: int | None
    parts: int | None
    prompt: str | None
    connection: str | None
    model: str | None
    run: int
    status: str
    attempt: int
    reused_from: str | None
    usage: dict[str, Any]
    result: dict[str, Any] | None
    truncated: bool
    error: dict[str, Any] | None
    finished_at: str


class Report(TypedDict):
    batch_id: int
    run: int
    models: NotRequired[list[dict[str, Any]]]
    prompts: NotRequired[list[dict[str, Any]]]
    agreement: NotRequired[list[dict[str, Any]]]
    agreement_left_out: NotRequired[int]
    documents: list[dict[str, Any]]
    next_cursor: str | None


Connection = TypedDict(
    "Connection",
    {
        "connection": str,
        "model": str | None,
        "state": str,
        "class": str | None,
        "reason": str | None,
        "since": str | None,
        "next_try_at": str | None,
        "failures": int,
        "reported_by": str | None,
        "workers": list[str],
        "batches": list[int],
    },
)


class Worker(TypedDict):
    worker: str
    first_seen_at: str
    last_seen_at: str
    last_work_at: str | None
    leased: int
    completed: int
    failed: int
    reports_a_minute: int
    can: list[str] | None
    held: list[dict[str, Any]]


class Token(TypedDict):
    id: int
    name: str
    role: str
    created_at: str
    expires_at: str | None
    token: NotRequired[str]


class Webhook(TypedDict):
    """A webhook; `secret` is in the answers of `create` and `rotate` only, and not of the format apprise."""

    id: int
    url: str
    description: str | None
    types: list[str]
    format: str
    digest_minutes: int | None
    enabled: bool
    disabled_reason: str | None
    secrets: int
    waiting: int
    failures: int
    failure: str | None
    failed_at: str | None
    delivered_at: str | None
    created_at: str
    secret: NotRequired[str]


class Delivery(TypedDict):
    """A message of a webhook, and what became of it."""

    id: int
    message_id: str
    type: str
    batch_id: int | None
    status: str
    tries: int
    http_status: int | None
    error: str | None
    created_at: str
    next_try_at: str | None
    finished_at: str | None
    body: dict[str, Any]


class TriedWebhook(TypedDict):
    """What became of a test message."""

    delivered: bool
    message_id: str
    http_status: int | None
    error: str | None
    duration_ms: int
