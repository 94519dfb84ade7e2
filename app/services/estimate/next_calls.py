"""Which calls a `stage` or `restage` would make.

Reads the last committed rows. A document that was never staged in its present form counts with all of its calls.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, false, func, not_, or_, select, text, true
from sqlalchemy.orm import aliased

from app.domain.documents import PromptInput
from app.domain.facts import Facts
from app.domain.leases import Outcome, TaskKind, TaskStatus
from app.domain.reuse import Redo
from app.models import IS_FAILED, Batch, Document, LateResult, Model, Prompt, ReadyTask, Task, in_key_index
from app.services.estimate import prices
from app.services.task import failed_causes

Amounts = dict[int | None, int]  # by the number of the model; None stands for ready-made tasks


def next_calls(connection: Connection, batch_id: int, run: int, facts: Facts, redo: Redo | None) -> Amounts:
    """Count the calls of the next run, by model."""
    if redo is None or redo.causes is None:
        return _calls(connection, batch_id, facts, redo)
    others = _calls(connection, batch_id, facts, None)
    rows: Any = connection.execute(_unanswered_failures(batch_id, run))
    failed: Amounts = dict(rows.all())
    again = failed_causes.amounts(connection, batch_id, run, redo.causes)
    return {model: max(0, amount - failed.get(model, 0)) + again[model] for model, amount in others.items()}


def _calls(connection: Connection, batch_id: int, facts: Facts, redo: Redo | None) -> Amounts:
    if facts.ready_tasks:
        return {None: connection.execute(_ready_calls(batch_id, redo)).scalar_one()}
    found: Any = connection.execute(_unstaged(batch_id)).one()
    unstaged, parts = found
    of_text: int = connection.execute(_prompts_of_text(batch_id)).scalar_one() if parts else 0
    rows: Any = connection.execute(_staged_calls(batch_id, redo))
    known: Amounts = dict(rows.all())
    calls = unstaged * facts.prompts + int(parts or 0) * of_text
    return {number: calls + known.get(number, 0) for number in range(1, facts.models + 1)}


def _unanswered_failures(batch_id: int, run: int) -> Any:
    return (
        select(Task.model_number, func.count())
        .where(
            Task.batch_id == batch_id,
            Task.run == run,
            Task.kind == str(TaskKind.ANALYZE),
            IS_FAILED,
            not_(_has_answer(batch_id, Task.content_key)),
        )
        .group_by(Task.model_number)
    )


def _last_stagings(batch_id: int) -> Any:
    """Select the last staging task of each document that was staged in its present form."""
    staging, document = aliased(Task), aliased(Document)
    return (
        select(func.max(staging.id))
        .join(document, document.id == staging.document_id)
        .where(
            staging.batch_id == batch_id,
            staging.kind == TaskKind.STAGE,
            staging.status == TaskStatus.COMPLETED,
            staging.finished_at >= document.created_at,
        )
        .group_by(staging.document_id)
    )


def _unstaged(batch_id: int) -> Any:
    staged = select(Task.document_id).where(Task.id.in_(_last_stagings(batch_id)))
    return (
        select(func.count(), func.sum(prices.more_parts()))
        .select_from(Document)
        .join(Batch, Batch.id == Document.batch_id)
        .where(Document.batch_id == batch_id, Document.id.not_in(staged), Document.erased_at.is_(None))
    )


def _prompts_of_text(batch_id: int) -> Any:
    return select(func.count()).where(Prompt.batch_id == batch_id, Prompt.input == PromptInput.TEXT)


def _staged_calls(batch_id: int, redo: Redo | None) -> Any:
    return (
        select(Task.model_number, func.count())
        .join(Prompt, and_(Prompt.batch_id == Task.batch_id, Prompt.number == Task.prompt_number))
        .join(Model, and_(Model.batch_id == Task.batch_id, Model.number == Task.model_number))
        .where(
            Task.batch_id == batch_id,
            Task.staging_task_id.in_(_last_stagings(batch_id)),
            not_(Task.erased),
            or_(_again(redo), not_(_has_answer(batch_id, Task.content_key))),
        )
        .group_by(Task.model_number)
    )


def _ready_calls(batch_id: int, redo: Redo | None) -> Any:
    last = (
        select(func.max(Task.id).label("id"), Task.ready_number)
        .where(Task.batch_id == batch_id)
        .group_by(Task.ready_number)
        .subquery()
    )
    return (
        select(func.count())
        .select_from(ReadyTask)
        .outerjoin(last, last.c.ready_number == ReadyTask.number)
        .outerjoin(Task, Task.id == last.c.id)
        .where(
            ReadyTask.batch_id == batch_id,
            or_(_again(redo), not_(_has_answer(batch_id, ReadyTask.content_key))),
        )
    )


def _again(redo: Redo | None) -> ColumnElement[bool]:
    if redo is None:
        return false()
    conditions: list[ColumnElement[bool]] = [true()]
    if redo.models is not None:
        named = Model.connection + "/" + Model.model
        conditions.append(or_(Model.model.in_(sorted(redo.models)), named.in_(sorted(redo.models))))
    if redo.prompts is not None:
        conditions.append(Prompt.name.in_(sorted(redo.prompts)))
    if redo.status is not None:
        conditions.append(func.coalesce(Task.status, "").in_(sorted(redo.status)))
    return and_(*conditions)


def _has_answer(batch_id: int, content_key: Any) -> ColumnElement[bool]:
    same = aliased(Task, name="same")
    has_key = (same.batch_id == batch_id, same.content_key == content_key, text(in_key_index("same")))
    answered = select(same.id).where(*has_key, same.status == TaskStatus.COMPLETED)
    late = (
        select(LateResult.id)
        .join(same, same.id == LateResult.task_id)
        .where(*has_key, same.has_late_answer, LateResult.outcome == Outcome.COMPLETED)
    )
    return or_(answered.exists(), late.exists())
