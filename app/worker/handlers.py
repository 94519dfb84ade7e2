"""Which function handles a task: chosen by the task's kind, its connection and its model.

A handler is registered for a connection (`openai`) or for one model of a connection (`openai/gpt`). The handler of
the model comes first. Ready-made tasks name no connection: theirs is called `jsonl`.
"""

import logging
from collections.abc import Mapping
from typing import Any

from app.worker.answers.json_answers import check_result
from app.worker.connections.settings import READY_MADE
from app.worker.reporting.reports import Report, completed, of_exception
from app.worker.task import Handler, Task, TaskFailed
from app.worker.textstats.handler import textstats

log = logging.getLogger(__name__)  # not structlog: `perform` also runs in processes without its configuration

BUILT_IN: dict[str, Handler] = {"local/textstats": textstats, f"{READY_MADE}/textstats": textstats}


class Handlers:
    """The handlers of one worker. Those in `analyze` are added to the built-in ones, or replace them."""

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
    """Read the connection and the model of a task."""
    if "connection" in payload:
        return str(payload["connection"]), str(payload.get("model", ""))
    body = payload.get("body")
    return READY_MADE, str(body.get("model", "")) if isinstance(body, Mapping) else ""


def perform(handler: Handler, task: Task) -> Report:
    """Run a handler and return the report. It raises nothing. It runs on the executor, perhaps in another process.

    A result that does not match the schema of its prompt is a failed attempt, whichever handler returned it.
    """
    try:
        result = handler(task)
        if isinstance(result, dict) and task.payload.get("schema") is not None:
            result = check_result(result, task.payload["schema"])
        return completed(task, result)
    except TaskFailed as failure:
        return of_exception(task, failure)
    except Exception as error:
        log.exception("handler_raised: task %s, attempt %d", task.id, task.attempt)
        return of_exception(task, error)
