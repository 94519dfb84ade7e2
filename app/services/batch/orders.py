"""Orders and their answers: what every caller (HTTP, UI, CLI, request queue) hands to BatchService and gets back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from app.domain import action_contexts, reuse, transitions
from app.domain.facts import Facts
from app.domain.roles import SYSTEM
from app.domain.transitions import Kind
from app.errors import Invalid, Refusal, VersionMismatch
from app.models import AuditRow, Model, Prompt
from app.services.batch.batch_rows import BatchRecord
from app.services.batch.batch_view import batch_view
from app.services.task import failed_causes

# The service sets these keys of a context itself; a caller may not.
RESERVED = ("actor", "role", "request_id", "if_version", "dry_run")
RUN = "run"
_STAGED_BY: Any = (
    select(AuditRow.actor, AuditRow.role, AuditRow.request_id, AuditRow.reason, AuditRow.context)
    .where(
        AuditRow.batch_id == bindparam("batch_id"),
        AuditRow.to_state.in_(sorted(transitions.BEGINS_RUN)),
        AuditRow.kind == Kind.ACTION,
    )
    .order_by(AuditRow.version.desc())
    .limit(1)
)
Answer = dict[str, Any]
Record = Callable[[Connection, Answer], None]


@dataclass(frozen=True)
class Order:
    """Who requests a change, and with which context; `record` stores the answer for its Idempotency-Key."""

    actor: str = SYSTEM
    role: str = SYSTEM
    request_id: str | None = None
    if_version: int | None = None
    dry_run: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    record: Record | None = None

    @property
    def reason(self) -> str | None:
        reason = self.context.get("reason")
        return None if reason is None else str(reason)

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> "Order":
        """Make an order of a context as contract 3 describes it. Raises Invalid."""
        if not isinstance(context, Mapping):
            raise Invalid("context must be an object.", errors={"context": ["must be an object"]})
        if_version = context.get("if_version")
        if if_version is not None and (isinstance(if_version, bool) or not isinstance(if_version, int)):
            raise Invalid("if_version must be a whole number.", errors={"if_version": ["must be a whole number"]})
        return cls(
            actor=str(context.get("actor") or SYSTEM),
            role=str(context.get("role") or SYSTEM),
            request_id=context.get("request_id"),
            if_version=if_version,
            dry_run=bool(context.get("dry_run", False)),
            context={key: value for key, value in context.items() if key not in RESERVED},
        )


def order_to_run(connection: Connection, batch_id: int) -> Order | None:
    """Make the order to run a batch that is staged now, of the actor who staged it and with the same reason.

    It is kept in the audit row of the action that staged the batch; None if that row has none.
    """
    row = connection.execute(_STAGED_BY, {"batch_id": batch_id}).one_or_none()
    if row is None or not action_contexts.runs_when_staged(row.context):
        return None
    context = {action_contexts.RUN_WHEN_STAGED: True, **({"reason": row.reason} if row.reason else {})}
    return Order(row.actor, row.role, row.request_id, context=context)


def check_version(order: Order, batch: BatchRecord) -> None:
    """Compare the version that the caller expects with the batch's. Raises VersionMismatch."""
    if order.if_version is not None and order.if_version != batch.version:
        raise VersionMismatch(order.if_version, batch.version)


def columns_of(connection: Connection, batch: BatchRecord, action: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Read the columns of a batch's row that the context of an action sets. Raises Invalid, naming the key.

    The names of prompts and models in `redo` must be names that the batch has, and the causes those of failed tasks of
    its present run.
    """
    columns = action_contexts.columns_of(action, context)
    redo = reuse.redo_of(columns.get("reuse"))
    if redo and (redo.prompts or redo.models):
        prompts = connection.execute(select(Prompt.name).where(Prompt.batch_id == batch.id)).scalars()
        models = connection.execute(select(Model.connection, Model.model).where(Model.batch_id == batch.id))
        reuse.check(redo, prompts, [(row.connection, row.model) for row in models])
    if redo and redo.causes:
        reuse.check_causes(redo, failed_causes.found_among(connection, batch.id, batch.run, redo.causes))
    return columns


def accepted(action: str, before: BatchRecord, decided: BatchRecord, batch: BatchRecord, facts: Facts) -> Answer:
    """Make the answer of an action that led from `before` to `decided`; events have led on to `batch` since."""
    return {
        "success": True,
        "batch_id": before.id,
        "action": action,
        "previous_state": before.state,
        "new_state": decided.state,
        "version": decided.version,
        "batch": batch_view(batch, facts),
    }


def refused(refusal: Refusal, batch: BatchRecord | None = None, facts: Facts | None = None) -> Answer:
    """Make the answer of a refusal: its code and reason, and the batch's present state if it is known."""
    answer: Answer = {
        "success": False,
        "code": refusal.code,
        "status": refusal.status,
        "reason": refusal.detail,
        **refusal.facts,
    }
    if batch and facts:
        answer |= {
            "batch_id": batch.id,
            "current_state": batch.state,
            "version": batch.version,
            "allowed_actions": transitions.allowed(batch.state, facts),
        }
    return answer
