"""The results of a run as JSON lines: those of this API, or those of the files of the OpenAI Batch API."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, and_, not_, select

from app import portions
from app.db import reading
from app.domain.answer.openai_lines import error_line, output_line
from app.domain.leases import FINISHED, TaskKind, TaskStatus
from app.domain.times import rfc3339
from app.models import ReadyTask, Task
from app.services.batch.batch_rows import look
from app.services.batch.batch_view import usage_view
from app.services.reads.tasks import WHOLE_TASKS, task_names
from app.services.task.named_tasks import OF_LINE

RESULTS_PAGE = 200  # tasks whose sizes are read at once


def result_view(row: Any) -> dict[str, Any]:
    """Show a finished task as a line of results."""
    return {
        "task_id": str(row.id),
        **task_names(row),
        "usage": {**usage_view(row), "latency_ms": row.latency_ms},
        "result": row.result,
        "truncated": row.truncated,
        "error": row.error,
        "finished_at": rfc3339(row.finished_at),
    }


class ResultForm(NamedTuple):
    """Which tasks have a line, what the line looks like, and the columns that it needs besides."""

    condition: Any
    view: Callable[[Any], dict[str, Any]]
    columns: Sequence[Any] = ()


_has_ended = Task.status.in_(FINISHED)
_has_answer = and_(Task.status == TaskStatus.COMPLETED, not_(Task.erased))
RESULT_FORMS = {
    "ndjson": ResultForm(_has_ended, result_view),
    "openai": ResultForm(_has_answer, output_line, (ReadyTask.body,)),
    "openai-errors": ResultForm(and_(_has_ended, not_(_has_answer)), error_line),
}


class Results:
    """Reads results."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def lines(self, batch_id: int, run: int | None = None, form: str = "ndjson") -> Iterator[dict[str, Any]]:
        """Walk the finished analysis tasks of a run (None: the present run) in the order of their ids.

        A portion of them is in memory at a time. Raises NotFound at once, before the walk begins.
        """
        with reading(self._engine) as connection:
            present = look(connection, batch_id)[0].run
        return self._walk(batch_id, present if run is None else run, RESULT_FORMS[form])

    def _walk(self, batch_id: int, run: int, form: ResultForm) -> Iterator[dict[str, Any]]:
        sizes = (
            select(Task.id, portions.size_of(Task.result, Task.error, *form.columns))
            .join(ReadyTask, OF_LINE, isouter=True)
            .where(
                Task.batch_id == batch_id,
                Task.run == run,
                Task.kind == TaskKind.ANALYZE,
                form.condition,
            )
            .order_by(Task.id)
            .limit(RESULTS_PAGE)
        )
        rows = WHOLE_TASKS.add_columns(*form.columns)
        after: int | None = 0
        while after is not None:
            with reading(self._engine) as connection:
                sized = connection.execute(sizes.where(Task.id > after)).all()
            yield from map(form.view, portions.read(self._engine, sized, rows))
            after = sized[-1].id if len(sized) == RESULTS_PAGE else None
