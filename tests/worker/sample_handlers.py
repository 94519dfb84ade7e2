"""Handlers for the worker processes of these tests, which import them by name."""

import os
import time
from pathlib import Path
from typing import Any

from app.worker import ConnectionClosed, Task, TaskFailed
from tests.support.waiting import LIMIT_SECONDS, wait_until


def at_once(task: Task) -> dict[str, Any]:
    return {"text": f"answer to {task.id}"}


def begun(task: Task) -> None:
    """Write a file into the folder that the payload names, if any: it shows that the task runs."""
    if "begun" in task.payload:
        Path(task.payload["begun"], task.id).touch()


def slow(task: Task) -> dict[str, Any]:
    """Sleep for the seconds of the payload."""
    begun(task)
    time.sleep(task.payload.get("seconds", 1.0))
    return {"text": f"answer to {task.id}"}


def gated(task: Task) -> dict[str, Any]:
    """Continue when the file of the payload exists."""
    wait_until(Path(task.payload["gate"]).exists)
    return {"text": f"answer to {task.id}"}


def deaf(task: Task) -> dict[str, Any]:
    """Take longer than any grace time, and than any test waits for it."""
    begun(task)
    time.sleep(2 * LIMIT_SECONDS)
    return {"text": "too late"}


def fails(task: Task) -> dict[str, Any]:
    raise TaskFailed("rate_limited", "come back", retry_after_seconds=7.5)


class NoCredit(ConnectionClosed):
    """As an author of handlers may derive it."""


def closed_once(task: Task) -> dict[str, Any]:
    """Close the connection, the first time."""
    mark = Path(task.payload["mark"])
    if not mark.exists():
        mark.touch()
        raise NoCredit(task.payload["connection"], "the account is empty", "access")
    return {"text": f"answer to {task.id}"}


def whose_process(task: Task) -> dict[str, Any]:
    return {"pid": os.getpid()}


def dies_once(task: Task) -> dict[str, Any]:
    """Kill the process that runs this, the first time."""
    mark = Path(task.payload["mark"])
    if not mark.exists():
        mark.touch()
        os._exit(3)
    return {"text": "survived"}


def read(task: Task) -> dict[str, Any]:
    return {"text": "read by another", "metadata": {}}


def quick_line(task: Task) -> dict[str, Any]:
    """Return the number of a ready-made task."""
    return {"n": task.payload["body"]["n"]}
