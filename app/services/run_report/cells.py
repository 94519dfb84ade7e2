"""The cells of a run's report, in pages of rows or as one stream. A cell is an analysis task with its answer.

Answers are read in portions, since each may be large. A row is a document. In a batch of ready-made tasks each line
is a row, and the model is the one that the line names.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, bindparam, exists, func, select, tuple_

from app import portions
from app.db import reading
from app.domain.answer.answers import answer_of, has_score, score_of
from app.domain.leases import TaskKind, TaskStatus
from app.domain.money import cost
from app.errors import NotFound
from app.models import Document, Model, Prompt, Task
from app.services.batch.batch_rows import look
from app.services.batch.batch_view import usage_view
from app.services.run_report.sums import LINE_MODEL
from app.services.task.named_tasks import named_tasks
from app.services.task.task_counts import counts_of

LINES = "jsonl"  # shown as the connection of ready-made lines
LONGEST_ANSWER = 1_000  # characters of an answer in a row; the task has the whole answer
MOST_ANSWERS = 2_000  # in a page: a page has fewer documents if prompts x models are many
CELLS_PAGE = 200  # cells whose sizes are read at once
Column = tuple[int, int]  # the numbers of a prompt and a model
MOST_COMPARED = 50  # models whose whole answers are shown side by side

_run = (Task.batch_id == bindparam("batch_id"), Task.run == bindparam("run"), Task.kind == TaskKind.ANALYZE)
_cell = (Task.document_id, Task.prompt_number, Task.model_number, Task.part)
_CELLS = named_tasks(
    Task.id,
    Task.status,
    Task.attempt,
    Task.result,
    Task.error,
    Task.truncated,
    Task.document_cut,
    *_cell,
    Task.parts,
    Task.reused_from,
    Task.input_tokens,
    Task.output_tokens,
    Task.cost_nanos,
    Task.unpriced,
    Task.latency_ms,
    connection=func.coalesce(Model.connection, LINES),
    model=func.coalesce(Model.model, LINE_MODEL),
)
_SIZES = select(Task.id, *_cell, portions.size_of(Task.result, Task.error)).where(*_run)
_IN_ORDER = _SIZES.where(Task.id > bindparam("after")).order_by(Task.id).limit(bindparam("most"))
_TO_PROMPT = (
    _SIZES.where(
        Task.document_id == bindparam("document_id"),
        Task.prompt_number == bindparam("prompt_number"),
        Task.part == bindparam("part"),
    )
    .order_by(Task.model_number)
    .limit(MOST_COMPARED)
)
_PARTS = select(func.max(Task.parts)).where(
    *_run, Task.document_id == bindparam("document_id"), Task.prompt_number == bindparam("prompt_number")
)
_AMOUNTS = (
    select(Task.document_id, func.count().label("amount"))
    .where(*_run, Task.document_id.in_(bindparam("documents", expanding=True)), Task.prompt_number.is_not(None))
    .group_by(Task.document_id)
)
_OF_DOCUMENTS = _SIZES.where(
    Task.document_id.in_(bindparam("documents", expanding=True)),
    Task.prompt_number.is_not(None),  # so that the partial index of these tasks is used
).order_by(*_cell)
_DOCUMENTS = (
    select(Document.id, Document.number, Document.name)
    .where(
        Document.batch_id == bindparam("batch_id"),
        Document.number > bindparam("after"),
        exists().where(*_run, Task.document_id == Document.id, Task.prompt_number.is_not(None)),
    )
    .order_by(Document.number)
    .limit(bindparam("most"))
)


@dataclass(frozen=True)
class RunInput:
    """What a run was made of: prompts and models by their numbers, or ready-made lines."""

    batch_id: int
    run: int
    of_lines: bool
    prompts: Mapping[int, Any]
    models: Mapping[int, Any]
    tasks: Mapping[str, int]  # by status

    @property
    def values(self) -> dict[str, Any]:
        return {"batch_id": self.batch_id, "run": self.run}

    def schema(self, row: Any) -> Any:
        """Give the JSON Schema of the answer in a cell, or None if its prompt has none."""
        return self.prompts[row.prompt_number].schema if row.prompt_number in self.prompts else None


def input_of(connection: Connection, batch_id: int, run: int | None) -> RunInput:
    """Read what a run (None: the present run) was made of. Raises NotFound."""
    batch, facts = look(connection, batch_id)
    prompts = select(Prompt.number, Prompt.name, Prompt.schema).where(Prompt.batch_id == batch_id)
    models = select(Model.number, Model.connection, Model.model).where(Model.batch_id == batch_id)
    if run is None or run == batch.run:
        counted = {str(status): int(getattr(facts.analysis, status.lower())) for status in TaskStatus}
    else:
        counted = counts_of(connection, batch_id, run)[TaskKind.ANALYZE]
    return RunInput(
        batch_id,
        batch.run if run is None else run,
        bool(batch.ready_task_count),
        {row.number: row for row in connection.execute(prompts.order_by(Prompt.number))},
        {row.number: row for row in connection.execute(models.order_by(Model.number))},
        counted,
    )


def rows(engine: Engine, made: RunInput, limit: int, after: int) -> dict[str, Any]:
    """Show a page of rows after a cursor, as `documents` and `next_cursor`."""
    if made.of_lines:
        return _rows_of_lines(engine, made, limit, after)
    with reading(engine) as connection:
        found = connection.execute(_DOCUMENTS, {**made.values, "after": after, "most": limit + 1}).all()
        amounts = _amounts(connection, made, [row.id for row in found])
    most = max(1, sum(so_far <= MOST_ANSWERS for so_far in accumulate(amounts[:limit])))
    shown = found[:most]
    answers: dict[int, list[dict[str, Any]]] = {row.id: [] for row in shown}
    for cell in _walk_cells(engine, made, list(answers)):
        answers[cell.document_id].append(_answer_view(cell, made.schema(cell)))
    documents = [{"document": {"id": row.id, "name": row.name}, "answers": answers[row.id]} for row in shown]
    return {"documents": documents, "next_cursor": str(shown[-1].number) if len(found) > most else None}


def _amounts(connection: Connection, made: RunInput, documents: list[int]) -> list[int]:
    """Count the answers of each document."""
    rows: Any = connection.execute(_AMOUNTS, {**made.values, "documents": documents}) if documents else []
    found = {row.document_id: row.amount for row in rows}
    return [found.get(each, 0) for each in documents]


def name_of_document(connection: Connection, batch_id: int, document_id: int) -> str:
    """Read the name of a document of a batch. Raises NotFound."""
    statement = select(Document.name).where(Document.id == document_id, Document.batch_id == batch_id)
    name: str | None = connection.execute(statement).scalar_one_or_none()
    if name is None:
        raise NotFound("document", document_id)
    return name


def parts_of(connection: Connection, made: RunInput, document_id: int, prompt_number: int) -> int:
    """Count the parts of a document about which a prompt was asked; 0 if it was asked about the whole document."""
    values = {**made.values, "document_id": document_id, "prompt_number": prompt_number}
    parts: int = connection.execute(_PARTS, values).scalar_one_or_none() or 0
    return parts


def answers_to(
    engine: Engine, made: RunInput, document_id: int, prompt_number: int, part: int
) -> Iterator[dict[str, Any]]:
    """Walk each model's whole answer to a prompt about a document or a part of it, in the order of the models."""
    values = {**made.values, "document_id": document_id, "prompt_number": prompt_number, "part": part}
    with reading(engine) as connection:
        sized = connection.execute(_TO_PROMPT, values).all()
    for cell in portions.read(engine, sized, _CELLS):
        line = _line_view(cell, made.schema(cell))
        yield {**line, "model_number": cell.model_number, "cost": cost(cell.cost_nanos)}


def lines(engine: Engine, made: RunInput) -> Iterator[dict[str, Any]]:
    """Walk all cells with their whole answers, in the order of their tasks' ids, a portion in memory at a time."""
    after: int | None = 0
    while after is not None:
        sized = _sized(engine, made, after, CELLS_PAGE)
        yield from (_line_view(cell, made.schema(cell)) for cell in portions.read(engine, sized, _CELLS))
        after = sized[-1].id if len(sized) == CELLS_PAGE else None


def _sized(engine: Engine, made: RunInput, after: int, most: int) -> Sequence[Any]:
    with reading(engine) as connection:
        return connection.execute(_IN_ORDER, {**made.values, "after": after, "most": most}).all()


def _rows_of_lines(engine: Engine, made: RunInput, limit: int, after: int) -> dict[str, Any]:
    found = _sized(engine, made, after, limit + 1)
    shown = portions.read(engine, found[:limit], _CELLS)
    documents = [{"document": None, "custom_id": cell.custom_id, "answers": [_answer_view(cell)]} for cell in shown]
    return {"documents": documents, "next_cursor": str(found[limit - 1].id) if len(found) > limit else None}


def cells_of(
    connection: Connection, made: RunInput, documents: Sequence[int], columns: Collection[Column], most_parts: int
) -> Iterator[Any]:
    """Walk the cells of some documents and columns, in order, a portion in memory at a time.

    Of a document that is split, the first `most_parts` parts.
    """
    statement = _OF_DOCUMENTS.where(Task.part <= most_parts).where(
        tuple_(Task.prompt_number, Task.model_number).in_(sorted(columns))
    )
    sized = connection.execute(statement, {**made.values, "documents": documents}).all()
    return portions.read_on(connection, sized, _CELLS)


def _walk_cells(engine: Engine, made: RunInput, documents: Sequence[int]) -> Iterator[Any]:
    statement = _OF_DOCUMENTS.limit(CELLS_PAGE)
    values = {**made.values, "documents": documents}
    after: tuple[int, int, int, int] | None = (0, 0, 0, 0) if documents else None
    while after is not None:
        with reading(engine) as connection:
            found = connection.execute(statement.where(tuple_(*_cell) > after), values).all()
        yield from portions.read(engine, found, _CELLS)
        last = found[-1] if len(found) == CELLS_PAGE else None
        after = (last.document_id, last.prompt_number, last.model_number, last.part) if last else None


def _named(cell: Any, schema: Any) -> dict[str, Any]:
    answer = answer_of(cell.result, in_json=schema is not None)
    return {
        "task_id": str(cell.id),
        "part": cell.part or None,
        "parts": cell.parts or None,
        "prompt": cell.prompt_name,
        "connection": cell.connection,
        "model": cell.model,
        "status": cell.status,
        "answer": answer,
        "truncated": cell.truncated,
        "score": score_of(answer) if has_score(schema) else None,
        "reused_from": None if cell.reused_from is None else str(cell.reused_from),
    }


def _answer_view(cell: Any, schema: Any = None) -> dict[str, Any]:
    named = _named(cell, schema)
    answer = named["answer"]
    text = answer if isinstance(answer, str) else orjson.dumps(answer).decode()
    is_cut = len(text) > LONGEST_ANSWER
    return {
        **named,
        "answer": text[:LONGEST_ANSWER] if is_cut else answer,
        "answer_is_cut": is_cut,
        "prompt_number": cell.prompt_number,
        "model_number": cell.model_number,
        "cost": cost(cell.cost_nanos),
        "unpriced_calls": cell.unpriced,
    }


def _line_view(cell: Any, schema: Any) -> dict[str, Any]:
    return {
        **_named(cell, schema),
        **usage_view(cell),
        "custom_id": cell.custom_id,
        "document": cell.document_name,
        "attempt": cell.attempt,
        "latency_ms": cell.latency_ms,
        "error": f"{cell.error['code']}: {cell.error['message']}" if cell.error else None,
    }
