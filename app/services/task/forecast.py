"""What a `stage` or `restage` would cost: the calls it would make, at the price of the answers so far.

Reads the last committed rows. A document that was never staged in its present form counts with all of its calls.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, false, func, not_, or_, select, true
from sqlalchemy.orm import aliased

from app.domain.facts import Facts
from app.domain.leases import Outcome, TaskKind, TaskStatus
from app.domain.money import cost
from app.domain.reuse import Redo, redo_of
from app.models import Document, LateResult, Model, Prompt, ReadyTask, Task

Amounts = dict[int | None, int]  # by the number of the model; None stands for ready-made tasks


def forecast(
    connection: Connection, batch_id: int, facts: Facts, reuse: Mapping[str, Any] | None
) -> dict[str, int | float | None]:
    """Count the calls that the next run would make, and estimate their cost; `reuse` is the column that it would set.

    The cost is None if a model that would be called has not answered yet, or if no answer so far has a cost.
    """
    redo = redo_of(reuse)
    calls: Amounts
    if facts.ready_tasks:
        calls = {None: connection.execute(_ready_calls(batch_id, redo)).scalar_one()}
    else:
        unstaged: int = connection.execute(_unstaged(batch_id)).scalar_one()
        rows: Any = connection.execute(_staged_calls(batch_id, redo))
        known: Amounts = dict(rows.all())
        models = range(1, facts.models + 1)
        calls = {number: unstaged * facts.prompts + known.get(number, 0) for number in models}
    return {"calls": sum(calls.values()), "cost": _cost(connection, batch_id, calls)}


def _cost(connection: Connection, batch_id: int, calls: Amounts) -> float | None:
    called = {model: amount for model, amount in calls.items() if amount}
    rows: Any = connection.execute(_paid(batch_id))
    paid = {model: (answers, int(nanos)) for model, answers, nanos in rows}
    if called and (called.keys() - paid.keys() or not any(nanos for _, nanos in paid.values())):
        return None
    return cost(sum(round(amount * paid[model][1] / paid[model][0]) for model, amount in called.items()))


def _paid(batch_id: int) -> Any:
    # A copy of an earlier answer has cost nothing: counting it would make the other answers look cheaper.
    return (
        select(Task.model_number, func.count(), func.sum(Task.cost_nanos))
        .where(
            Task.batch_id == batch_id,
            Task.kind == TaskKind.ANALYZE,
            Task.status == TaskStatus.COMPLETED,
            Task.reused_from.is_(None),
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
    return select(func.count()).where(
        Document.batch_id == batch_id, Document.id.not_in(staged), Document.erased_at.is_(None)
    )


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
    same = aliased(Task)
    answered = select(same.id).where(
        same.batch_id == batch_id, same.content_key == content_key, same.status == TaskStatus.COMPLETED
    )
    late = (
        select(LateResult.id)
        .join(same, same.id == LateResult.task_id)
        .where(same.batch_id == batch_id, same.content_key == content_key, LateResult.outcome == Outcome.COMPLETED)
    )
    return or_(answered.exists(), late.exists())
