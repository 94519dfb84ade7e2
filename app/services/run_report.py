"""The report of a run: what its models and prompts did, how far they agree, and document by document the answers.

What the answers have in common needs all of them to be read, so it stands on the first page alone.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from app import db
from app.db import Sessions, reading
from app.models import Task
from app.services import report_cells
from app.services.agreement import Agreement
from app.services.report_cells import LINES, RunInput, input_of
from app.services.tallies import LINE_MODEL, NOTHING, tally

_tasks = db.table_of(Task)


class RunReport:
    """Reads the report of a run (the present run unless told), as of the last commit. Raises NotFound."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def first_page(self, batch_id: int, run: int | None = None, limit: int = 50) -> dict[str, Any]:
        """Sum the run up, and begin its rows."""
        with reading(self._sessions) as connection:
            made = input_of(connection, batch_id, run)
            models, prompts = _models(connection, made), _prompts(connection, made)
        agreement = Agreement({number: prompt.schema for number, prompt in made.prompts.items()}, list(made.models))
        agreement.walk(self._sessions, batch_id, made.run)
        return {
            "batch_id": batch_id,
            "run": made.run,
            "models": [{**each, "mean_score": agreement.mean_score("model", each["number"])} for each in models],
            "prompts": [{**each, "mean_score": agreement.mean_score("prompt", each["number"])} for each in prompts],
            "agreement": _agreement_view(agreement, made),
            "agreement_left_out": agreement.pairs_left_out,
            **report_cells.rows(self._sessions, made, limit, 0),
        }

    def further_page(self, batch_id: int, run: int | None, limit: int, after: int) -> dict[str, Any]:
        """Go on with the rows after a cursor."""
        with reading(self._sessions) as connection:
            made = input_of(connection, batch_id, run)
        return {"batch_id": batch_id, "run": made.run, **report_cells.rows(self._sessions, made, limit, after)}

    def lines(self, batch_id: int, run: int | None = None) -> Iterator[dict[str, Any]]:
        """Walk the run's analysis tasks in the order of their ids, a page in memory at a time."""
        with reading(self._sessions) as connection:
            made = input_of(connection, batch_id, run)
        return report_cells.lines(self._sessions, made)


def _models(connection: Connection, made: RunInput) -> list[dict[str, Any]]:
    if made.of_lines:
        by_line = tally(connection, made.batch_id, made.run, LINE_MODEL)
        return [{"number": None, "connection": LINES, "model": model, **sums} for model, sums in by_line.items()]
    sums = tally(connection, made.batch_id, made.run, _tasks.c.model_number) if made.models else {}
    return [{**_model_view(row), **sums.get(number, NOTHING)} for number, row in made.models.items()]


def _prompts(connection: Connection, made: RunInput) -> list[dict[str, Any]]:
    sums = tally(connection, made.batch_id, made.run, _tasks.c.prompt_number) if made.prompts else {}
    return [{"number": number, "prompt": row.name, **sums.get(number, NOTHING)} for number, row in made.prompts.items()]


def _model_view(row: Any) -> dict[str, Any]:
    return {"number": row.number, "connection": row.connection, "model": row.model}


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
