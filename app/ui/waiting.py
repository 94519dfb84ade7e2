"""What follows for tasks that wait, in sentences for the page of a batch."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.domain.connection.circuits import ErrorClass

_BY_ITSELF = (
    "No task loses an attempt. One call at a time tries again. When it succeeds, the tasks go on by themselves, "
    "unless the batch waits for a resume."
)
_BY_A_PERSON = "correct that, then resume the batch if it is paused"
_WHAT_FOLLOWS: dict[str | None, str] = {
    None: "These tasks go on as soon as there is a worker that can do them.",
    ErrorClass.OUTAGE: _BY_ITSELF,
    ErrorClass.RATE_LIMIT: _BY_ITSELF,
    ErrorClass.ACCESS: f"The server does not accept the worker's key, or its account is empty: {_BY_A_PERSON}.",
    ErrorClass.MODEL: f"The server does not know the model: {_BY_A_PERSON}.",
}


def what_follows(waiting_for: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say for each class of what a batch waits for how its tasks go on, each sentence once."""
    return list(dict.fromkeys(_WHAT_FOLLOWS[each["class"]] for each in waiting_for))
