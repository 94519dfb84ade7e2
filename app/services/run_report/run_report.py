"""The report of a run: sums by model and prompt, the agreement of the models, and the answers, document by document.

The agreement needs every answer of the run to be read, so only the first page has it.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine

from app import db
from app.db import reading
from app.errors import Busy, NotFound
from app.models import Task
from app.services.run_report import cells, matrix
from app.services.run_report.agreement import Agreement
from app.services.run_report.cells import LINES, Column, RunInput, input_of
from app.services.run_report.found_documents import Place, Sort, Wanted
from app.services.run_report.matrix import Page
from app.services.run_report.sums import LINE_MODEL, NOTHING, medians, tally
from app.services.task import usage_counts

WALK_WAIT_SECONDS = 5
_walks = threading.BoundedSemaphore(2)  # of this process: each reads every answer of a run and occupies a thread
_tasks = db.table_of(Task)


@dataclass(frozen=True)
class Matrix:
    """A page of a run's matrix: its input, what was wanted of it, its columns with their sums, and its rows."""

    made: RunInput
    wanted: Wanted  # with the columns that are shown
    columns: list[dict[str, Any]]  # all of them; `before` is what they used in the run that answers are held against
    page: Page


class RunReport:
    """Reads the report of a run (None: the present run), as of the last commit. Raises NotFound."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def first_page(self, batch_id: int, run: int | None = None, limit: int = 50) -> dict[str, Any]:
        """Sum up the run, and give the first page of its rows. Raises Busy while two other runs are being summed up."""
        with reading(self._engine) as connection:
            made = input_of(connection, batch_id, run)
        return {**self._sums(made), **cells.rows(self._engine, made, limit, 0)}

    def sums(self, batch_id: int, run: int | None, most_tasks: int | None = None) -> dict[str, Any]:
        """Sum up a run. If it has more than `most_tasks`, give what its calls used instead, which reads no task.

        `whole` is True for the sums. Raises NotFound, Busy.
        """
        with reading(self._engine) as connection:
            made = input_of(connection, batch_id, run)
            tasks = sum(made.tasks.values())
            if most_tasks is not None and tasks > most_tasks:
                used = usage_counts.by_model_and_prompt(connection, batch_id, made.run)
                return {"run": made.run, "tasks": tasks, "whole": False, **used}
        return {**self._sums(made), "tasks": tasks, "whole": True}

    def medians(self, batch_id: int, run: int | None, most_tasks: int) -> dict[Column, int]:
        """Give the median latency of each column of a run; none if it has more than `most_tasks`. Raises NotFound."""
        with reading(self._engine) as connection:
            made = input_of(connection, batch_id, run)
            return medians(connection, batch_id, made.run) if sum(made.tasks.values()) <= most_tasks else {}

    def _sums(self, made: RunInput) -> dict[str, Any]:
        if not _walks.acquire(timeout=WALK_WAIT_SECONDS):
            raise Busy("Two other reports are being made in this process.")
        try:
            return self._summed(made)
        finally:
            _walks.release()

    def _summed(self, made: RunInput) -> dict[str, Any]:
        with reading(self._engine) as connection:
            models, prompts = _models(connection, made), _prompts(connection, made)
        agreement = Agreement({number: prompt.schema for number, prompt in made.prompts.items()}, list(made.models))
        agreement.walk(self._engine, made.batch_id, made.run)
        return {
            "batch_id": made.batch_id,
            "run": made.run,
            "models": [{**each, "mean_score": agreement.mean_score("model", each["number"])} for each in models],
            "prompts": [{**each, "mean_score": agreement.mean_score("prompt", each["number"])} for each in prompts],
            "agreement": _agreement_view(agreement, made),
            "agreement_left_out": agreement.pairs_left_out,
        }

    def further_page(self, batch_id: int, run: int | None, limit: int, after: int) -> dict[str, Any]:
        """Give the page of rows after a cursor."""
        with reading(self._engine) as connection:
            made = input_of(connection, batch_id, run)
        return {"batch_id": batch_id, "run": made.run, **cells.rows(self._engine, made, limit, after)}

    def matrix(
        self, batch_id: int, run: int | None, limit: int, after: Place | None, wanted: Wanted, at_first: int
    ) -> Matrix:
        """Find a page of rows, with the wanted columns, or with the first ones if the run has none of them."""
        with reading(self._engine) as connection:
            made = input_of(connection, batch_id, run)
            used = usage_counts.by_column(connection, batch_id, made.run)
            held = wanted.held_run
            before = usage_counts.by_column(connection, batch_id, held) if held is not None else {}
        columns = [(prompt, model) for prompt in made.prompts for model in made.models]
        chosen = [column for column in columns if column in wanted.columns] or columns[:at_first]
        sort = wanted.sort if wanted.sorted_column in columns else Sort.NUMBER
        wanted = replace(wanted, columns=chosen, sort=sort)
        return Matrix(
            made,
            wanted,
            [
                {**_column_view(made, column), **used.get(column, {}), "before": before.get(column)}
                for column in columns
            ],
            matrix.page(self._engine, made, wanted, limit, after),
        )

    def lines_page(self, batch_id: int, run: int | None, limit: int, after: int) -> dict[str, Any]:
        """Show a page of the rows of a batch of ready-made lines."""
        with reading(self._engine) as connection:
            made = input_of(connection, batch_id, run)
        return {"run": made.run, **cells.rows(self._engine, made, limit, after)}

    def document(
        self, batch_id: int, run: int | None, document_id: int, prompt: int | None, part: int | None = None
    ) -> dict[str, Any]:
        """Show the models' whole answers to a prompt (None: the first prompt) about a document. Raises NotFound.

        Of a document that is split, those about one part (None: the first part).

        `answers` is an iterator, which has a portion of them in memory.
        """
        with reading(self._engine) as connection:
            made = input_of(connection, batch_id, run)
            name = cells.name_of_document(connection, batch_id, document_id)
            number = min(made.prompts, default=0) if prompt is None else prompt
            if number not in made.prompts:
                raise NotFound("prompt", number)
            parts = cells.parts_of(connection, made, document_id, number)
        shown_part = min(max(part or 1, 1), parts) if parts else 0
        return {
            "run": made.run,
            "document": {"id": document_id, "name": name},
            "prompts": [{"number": each, "prompt": row.name} for each, row in made.prompts.items()],
            "prompt_number": number,
            "part": shown_part,
            "parts": parts,
            "answers": cells.answers_to(self._engine, made, document_id, number, shown_part),
        }

    def lines(self, batch_id: int, run: int | None = None) -> Iterator[dict[str, Any]]:
        """Walk the run's analysis tasks in the order of their ids, a portion in memory at a time."""
        with reading(self._engine) as connection:
            made = input_of(connection, batch_id, run)
        return cells.lines(self._engine, made)


def _models(connection: Connection, made: RunInput) -> list[dict[str, Any]]:
    if made.of_lines:
        by_line = tally(connection, made.batch_id, made.run, LINE_MODEL)
        return [{"number": None, "connection": LINES, "model": model, **sums} for model, sums in by_line.items()]
    sums = tally(connection, made.batch_id, made.run, _tasks.c.model_number) if made.models else {}
    return [{**_model_view(row), **sums.get(number, NOTHING)} for number, row in made.models.items()]


def _prompts(connection: Connection, made: RunInput) -> list[dict[str, Any]]:
    sums = tally(connection, made.batch_id, made.run, _tasks.c.prompt_number) if made.prompts else {}
    return [{"number": number, "prompt": row.name, **sums.get(number, NOTHING)} for number, row in made.prompts.items()]


def _column_view(made: RunInput, column: Column) -> dict[str, Any]:
    prompt, model = made.prompts[column[0]], made.models[column[1]]
    return {"numbers": column, "prompt": prompt.name, **_named(model)}


def _named(row: Any) -> dict[str, Any]:
    return {"connection": row.connection, "model": row.model}


def _model_view(row: Any) -> dict[str, Any]:
    return {"number": row.number, **_named(row)}


def _agreement_view(agreement: Agreement, made: RunInput) -> list[dict[str, Any]]:
    return [
        {
            "prompt": made.prompts[pair.prompt].name,
            "prompt_number": pair.prompt,
            "models": [_model_view(made.models[number]) for number in (pair.one, pair.other)],
            "compared": (compared := agreement.compared[pair]),
            "agreed": (agreed := agreement.agreed[pair]),
            "rate": agreed / compared if compared else None,
        }
        for pair in agreement.pairs
    ]
