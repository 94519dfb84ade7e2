"""The types of messages, and which of them the message about a change has."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from app.domain import failures
from app.domain.file.batches import status_of
from app.domain.transitions import BY_TRIGGER, ENDS_OF_RUN, BatchState


class MessageType(StrEnum):
    BATCH_STAGED = "batch.staged"
    BATCH_STARTED = "batch.started"
    BATCH_PAUSED = "batch.paused"
    BATCH_RESUMED = "batch.resumed"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELLED = "batch.cancelled"
    BATCH_EXPIRED = "batch.expired"
    BATCH_STATE_CHANGED = "batch.state_changed"  # every action and event of a batch
    LIMIT_NEAR = "limit.near"
    CONNECTION_CLOSED = "connection.closed"
    CONNECTION_OPEN = "connection.open"
    WORKER_SILENT = "worker.silent"


class Format(StrEnum):
    STANDARD = "standard"
    OPENAI = "openai"  # the events of OpenAI's Batch API, for batches made at /v1/batches
    APPRISE = "apprise"  # digests in words, which the library apprise sends to a chat, by mail and so on


TEST = "webhook.test"  # the type of a message that tries a webhook: nobody subscribes to it
OPENAI_TYPES = (
    MessageType.BATCH_COMPLETED,
    MessageType.BATCH_FAILED,
    MessageType.BATCH_EXPIRED,
    MessageType.BATCH_CANCELLED,
)
_BY_TRIGGER = {
    "staging_completed": MessageType.BATCH_STAGED,
    "run": MessageType.BATCH_STARTED,
    "pause": MessageType.BATCH_PAUSED,
    "resume": MessageType.BATCH_RESUMED,
    "tasks_finished": MessageType.BATCH_COMPLETED,
    "cancel": MessageType.BATCH_CANCELLED,
    "staging_failed": MessageType.BATCH_FAILED,
    "critical_error": MessageType.BATCH_FAILED,
}
assert _BY_TRIGGER.keys() <= BY_TRIGGER.keys()  # noqa: S101 - checked when the module is imported


@dataclass(frozen=True)
class ChangeOfState:
    """What an audit row of an action or event says: the trigger, the new state, and the code of a failure."""

    trigger: str
    to_state: BatchState
    failure_code: str | None = None


def type_of(change: ChangeOfState, subscribed: Collection[str]) -> MessageType | None:
    """Find the type of message that a subscriber gets: the change's own, else `batch.state_changed`; or None."""
    own = _BY_TRIGGER.get(change.trigger)
    if change.failure_code == failures.EXPIRED:
        own = MessageType.BATCH_EXPIRED
    wanted = (own, MessageType.BATCH_STATE_CHANGED)
    return next((each for each in wanted if each is not None and each in subscribed), None)


def openai_type_of(
    change: ChangeOfState, subscribed: Collection[str], cancel_is_wanted: bool = False
) -> MessageType | None:
    """Find the event of OpenAI's API that a change is, if it is one and is subscribed: its status in that API."""
    if change.to_state not in ENDS_OF_RUN:
        return None
    failure = failures.CANCELLED if change.trigger == "cancel" else change.failure_code
    status = status_of(change.to_state, failure, is_settled=True, open_tasks=0, cancel_is_wanted=cancel_is_wanted)
    found = MessageType(f"batch.{status}")
    return found if found in subscribed else None
