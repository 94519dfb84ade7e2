"""Which function does a task: by its kind, its connection and its model.

A handler is registered for a connection (`openai`) or for one model of it (`openai/gpt`); the closer one wins.
Ready-made lines have no connection of their own: theirs is called `jsonl`.
"""

import logging
from collections.abc import Mapping
from typing import Any

from app.worker.answers import fitting
from app.worker.connections.settings import READY_MADE
from app.worker.reports import Report, completed, of_exception
from app.worker.task import Handler, Task, TaskFailed
from app.worker.textstats.handler import textstats

log = logging.getLogger(__name__)  # not structlog: this also runs in processes that are not set up for it

BUILT_IN: dict[str, Handler] = {"local/textstats": textstats, f"{READY_MADE}/textstats": textstats}


class Handlers:
    """The registry of one worker. `analyze` adds to the built-in handlers, or replaces them."""

    def __init__(self, stage: Handler, analyze: Mapping[str, Handler] | None = None) -> None:
        self._stage = stage
        self._analyze = {**BUILT_IN, **(analyze or {})}

    def find(self, task: Task) -> Handler:
        """Find the handler of a task. Raises TaskFailed, not retryable, when there is none."""
        if task.kind == "STAGE":
            return self._stage
        if task.kind != "ANALYZE":
            raise TaskFailed("no_handler", f"This worker does not know tasks of kind {task.kind!r}.", retryable=False)
        connection, model = connection_and_model(task.payload)
        for name in (f"{connection}/{model}", connection):
            if name in self._analyze:
                return self._analyze[name]
        raise TaskFailed(
            "no_handler",
            f"This worker has no handler for model {model!r} of connection {connection!r}. "
            f"It has: {', '.join(sorted(self._analyze))}.",
            retryable=False,
        )


def connection_and_model(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Read which model of which connection a task is for."""
    if "connection" in payload:
        return str(payload["connection"]), str(payload.get("model", ""))
    body = payload.get("body")
    return READY_MADE, str(body.get("model", "")) if isinstance(body, Mapping) else ""


def perform(handler: Handler, task: Task) -> Report:
    """Do a task and say what came of it. Runs on the executor, so perhaps in another process; raises nothing.

    An answer that does not fit the schema of its prompt is a failed attempt, whoever gave it.
    """
    try:
        result = handler(task)
        if isinstance(result, dict) and task.payload.get("schema") is not None:
            result = fitting(result, task.payload["schema"])
        return completed(task, result)
    except TaskFailed as failure:
        return of_exception(task, failure)
    except Exception as error:
        log.exception("handler_raised: task %s, attempt %d", task.id, task.attempt)
        return of_exception(task, error)
