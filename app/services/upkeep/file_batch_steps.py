"""Takes the steps that are due for batches that are made of a file."""

import threading
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import Engine

from app.db import reading
from app.services.batch.batch_service import BatchService
from app.services.file_batch import input_reader, settling, steps
from app.services.file_batch.line_walk import Stopped
from app.services.file_batch.steps import DueStep, Step
from app.services.upkeep.long_steps import LongSteps

REOPEN_SECONDS = 5.0
Attempt = Callable[[Callable[[], object]], None]  # does a step and logs its failure


class FileBatchSteps:
    """Takes due steps: short ones at once, long ones beside the caller, or at once too with `inline`.

    Large batches have threads of their own, so that the others do not wait for them.
    """

    def __init__(self, engine: Engine, batches: BatchService, stopping: threading.Event) -> None:
        self._engine = engine
        self._batches = batches
        self._stopping = stopping
        self._long, self._longest = LongSteps(), LongSteps()
        self._reopened_at = 0.0

    def take(self, attempt: Attempt, inline: bool) -> None:
        """Take every step that is due."""
        if time.monotonic() - self._reopened_at > REOPEN_SECONDS:
            self._reopened_at = time.monotonic()
            steps.reopen(self._engine)
        with reading(self._engine) as connection:
            due = steps.due(connection)
        for each in due:
            step = partial(attempt, partial(self._take, each))
            if inline or each.step is Step.ADVANCE:
                step()
            else:
                (self._longest if each.is_large else self._long).begin(each, step)

    def close(self) -> None:
        """Begin no other step."""
        self._long.close()
        self._longest.close()

    def _take(self, due: DueStep) -> None:
        try:
            if due.step is Step.READ:
                input_reader.read(self._engine, self._batches, due.batch_id, self._stopping)
            elif due.step is Step.SETTLE:
                settling.settle(self._engine, due.batch_id, self._stopping)
            else:
                steps.advance(self._batches, due.batch_id)
        except Stopped:
            pass  # the next process begins anew
