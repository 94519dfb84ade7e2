"""Which function handles a task: chosen by the task's kind, its connection and its model.

A handler is registered for a connection (`openai`) or for one model of a connection (`openai/gpt`). The handler of
the model comes first. Ready-made tasks name no connection: theirs is called `jsonl`.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from app.worker.answers.json_answers import check_result
from app.worker.connections.circuits import Circuits
from app.worker.connections.settings import READY_MADE
from app.worker.page_images import PageImages
from app.worker.reporting.reports import Report, completed, of_exception
from app.worker.task import ConnectionClosed, Handler, Task, TaskFailed
from app.worker.textstats.handler import textstats

log = logging.getLogger(__name__)  # not structlog: `perform` also runs in processes without its configuration

BUILT_IN: dict[str, Handler] = {"local/textstats": textstats, f"{READY_MADE}/textstats": textstats}


class Handlers:
    """The handlers of one worker. Those in `analyze` are added to the built-in ones, or replace them.

    Without `stage` the worker stages nothing. With `only`, it works for these connections alone.
    """

    def __init__(
        self,
        stage: Handler | None,
        analyze: Mapping[str, Handler] | None = None,
        only: Collection[str] = (),
        images: PageImages | None = None,
    ) -> None:
        self._stage = stage
        self.images = images
        found = {**BUILT_IN, **(analyze or {})}
        self._analyze = {name: found[name] for name in found if not only or name.partition("/")[0] in only}
        self.circuits = Circuits(self._analyze)

    def can(self) -> list[str]:
        """Say which tasks to lease."""
        return self.circuits.can(stages=self._stage is not None)

    def find(self, task: Task) -> Handler:
        """Find the handler of a task. Raises TaskFailed, not retryable, when there is none."""
        if task.kind == "STAGE" and self._stage:
            return self._stage
        if task.kind != "ANALYZE":
            raise TaskFailed("no_handler", f"This worker does no tasks of kind {task.kind!r}.", retryable=False)
        connection, model = task.target
        for name in (f"{connection}/{model}", connection):
            if name in self._analyze:
                return self._analyze[name]
        raise TaskFailed(
            "no_handler",
            f"This worker has no handler for model {model!r} of connection {connection!r}. "
            f"It has: {', '.join(sorted(self._analyze))}.",
            retryable=False,
        )


def perform(handler: Handler, task: Task, images: PageImages | None = None) -> Report | ConnectionClosed:
    """Run a handler and return the report. It raises nothing. It runs on the executor, perhaps in another process.

    A result that does not match the schema of its prompt is a failed attempt, whichever handler returned it. A task
    whose handler raises ConnectionClosed is to be released: that exception is returned.
    """
    try:
        result = handler(task) if "images" not in task.payload else _with_images(handler, task, images)
        if isinstance(result, dict) and task.payload.get("schema") is not None:
            result = check_result(result, task.payload["schema"])
        return completed(task, result)
    except ConnectionClosed as closed:
        return ConnectionClosed(*closed.args[:5])  # of a subclass, too: its class may be unknown elsewhere
    except TaskFailed as failure:
        return of_exception(task, failure)
    except Exception as error:
        log.exception("handler_raised: task %s, attempt %d", task.id, task.attempt)
        return of_exception(task, error)


def _with_images(handler: Handler, task: Task, images: PageImages | None) -> Any:
    """Run a handler with pictures of the document; its result says how many were sent."""
    if images is None:
        raise TaskFailed("no_images", "This worker makes no pictures of documents.", retryable=False)
    task, counts = images.added_to(task)
    result = handler(task)
    return {**result, "images": counts} if isinstance(result, dict) else result
