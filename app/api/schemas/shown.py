"""What is answered: the shapes of contract 5, for the OpenAPI document. Answers are rendered by the services."""

from typing import Any

import marshmallow as ma
from marshmallow import fields

from app.api.schemas.views import Shown, schema_of
from app.domain.attempts import AttemptOutcome
from app.domain.connection.circuits import CircuitState, ErrorClass
from app.domain.leases import TaskKind, TaskStatus
from app.domain.request_status import RequestStatus
from app.domain.roles import Role
from app.domain.transitions import BatchState
from app.services.batch.batch_view import BatchView


class ProblemSchema(Shown):
    """RFC 9457, with a stable `code`; beside it whatever helps."""

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    instance = fields.String()
    code = fields.String()
    errors = fields.Dict()


BatchSchema = schema_of(BatchView)


class DocumentSchema(Shown):
    id = fields.Integer()
    number = fields.Integer()
    name = fields.String()
    media_type = fields.String()
    size_bytes = fields.Integer()
    sha256 = fields.String()


class DecisionSchema(Shown):
    success = fields.Boolean()
    batch_id = fields.Integer()
    action = fields.String()
    previous_state = fields.Enum(BatchState, by_value=True)
    new_state = fields.Enum(BatchState, by_value=True)
    version = fields.Integer()
    batch = fields.Nested(BatchSchema)
    dry_run = fields.Boolean()
    effect = fields.Dict(keys=fields.String(), values=fields.Float(allow_none=True))
    pauses_again = fields.String(allow_none=True)


class QueuedSchema(Shown):
    success = fields.Boolean(allow_none=True)
    batch_id = fields.Integer()
    action = fields.String()
    status = fields.Enum(RequestStatus, by_value=True)
    reason = fields.String()
    request_id = fields.String()
    queue_position = fields.Integer()


class RequestSchema(Shown):
    id = fields.String()
    batch_id = fields.Integer()
    action = fields.String()
    status = fields.Enum(RequestStatus, by_value=True)
    reason = fields.String(allow_none=True)
    version = fields.Integer(allow_none=True)
    actor = fields.String()
    queue_position = fields.Integer(allow_none=True)
    created_at = fields.DateTime()
    expires_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)


class ActionSchema(Shown):
    action = fields.String()
    allowed = fields.Boolean()
    reason = fields.String(allow_none=True)


class AuditSchema(Shown):
    version = fields.Integer()
    trigger = fields.String()
    kind = fields.String()
    from_state = fields.Enum(BatchState, by_value=True, allow_none=True)
    to_state = fields.Enum(BatchState, by_value=True)
    actor = fields.String()
    role = fields.String()
    reason = fields.String(allow_none=True)
    context = fields.Dict()
    request_id = fields.String(allow_none=True)
    at = fields.DateTime()


class ActivitySchema(AuditSchema):
    batch_id = fields.Integer()
    batch_name = fields.String()


class TokenSchema(Shown):
    id = fields.Integer()
    name = fields.String()
    role = fields.Enum(Role, by_value=True)
    created_at = fields.DateTime()
    expires_at = fields.DateTime(allow_none=True)
    token = fields.String()


class LeasedTask(Shown):
    id = fields.String()
    batch_id = fields.Integer()
    run = fields.Integer()
    kind = fields.String()
    attempt = fields.Integer()
    lease_token = fields.String()
    lease_expires_at = fields.DateTime()
    payload = fields.Dict()
    is_probe = fields.Boolean()
    traceparent = fields.String()


ClosedSchema = Shown.from_dict(
    {
        "connection": fields.String(),
        "model": fields.String(allow_none=True),
        "class": fields.Enum(ErrorClass, by_value=True),
        "reason": fields.String(allow_none=True),
        "since": fields.DateTime(),
        "next_try_at": fields.DateTime(),
        "retry_after_seconds": fields.Float(),
    },
    name="ClosedConnection",
)


class GrantedSchema(Shown):
    tasks = fields.List(fields.Nested(LeasedTask))
    closed = fields.List(fields.Nested(ClosedSchema))
    probe = fields.List(fields.String())


ConnectionSchema = Shown.from_dict(
    {
        "connection": fields.String(),
        "model": fields.String(allow_none=True),
        "state": fields.Enum(CircuitState, by_value=True),
        "class": fields.Enum(ErrorClass, by_value=True, allow_none=True),
        "reason": fields.String(allow_none=True),
        "since": fields.DateTime(allow_none=True),
        "next_try_at": fields.DateTime(allow_none=True),
        "failures": fields.Integer(),
        "reported_by": fields.String(allow_none=True),
        "workers": fields.List(fields.String()),
        "batches": fields.List(fields.Integer()),
    },
    name="Connection",
)


class WorkerSchema(Shown):
    worker = fields.String()
    first_seen_at = fields.DateTime()
    last_seen_at = fields.DateTime()
    last_work_at = fields.DateTime(allow_none=True)
    leased = fields.Integer()
    completed = fields.Integer()
    failed = fields.Integer()
    reports_a_minute = fields.Integer()
    can = fields.List(fields.String(), allow_none=True)
    held = fields.List(fields.Dict())


class TaskSchema(Shown):
    """A task in a list."""

    id = fields.String()
    batch_id = fields.Integer()
    kind = fields.Enum(TaskKind, by_value=True)
    custom_id = fields.String(allow_none=True)
    document = fields.Dict(allow_none=True)
    part = fields.Integer(allow_none=True)
    parts = fields.Integer(allow_none=True)
    prompt = fields.String(allow_none=True)
    connection = fields.String(allow_none=True)
    model = fields.String(allow_none=True)
    run = fields.Integer()
    status = fields.Enum(TaskStatus, by_value=True)
    attempt = fields.Integer()
    reused_from = fields.String(allow_none=True)
    worker = fields.String(allow_none=True)
    lease_expires_at = fields.DateTime(allow_none=True)
    available_at = fields.DateTime()
    error = fields.Dict(allow_none=True)
    skipped = fields.String(allow_none=True)
    truncated = fields.Boolean()
    finished_at = fields.DateTime(allow_none=True)


class AttemptSchema(Shown):
    """An attempt of a task that has ended."""

    attempt = fields.Integer()
    at = fields.DateTime()
    worker = fields.String(allow_none=True)
    outcome = fields.Enum(AttemptOutcome, by_value=True)
    code = fields.String(allow_none=True)
    input_tokens = fields.Integer()
    output_tokens = fields.Integer()
    cost = fields.Float(allow_none=True)
    latency_ms = fields.Integer(allow_none=True)


class WholeTaskSchema(TaskSchema):
    usage = fields.Dict()
    result = fields.Dict(allow_none=True)
    attempts = fields.List(fields.Nested(AttemptSchema))
    late_results = fields.List(fields.Dict())
    late_results_left_out = fields.Integer()


class LeaseVerdict(Shown):
    """What became of a lease that was renewed or released."""

    task_id = fields.String()
    ok = fields.Boolean()
    lease_expires_at = fields.DateTime(allow_none=True)
    reason = fields.String()


class ReportVerdict(Shown):
    """How a report was judged."""

    task_id = fields.String()
    status = fields.Integer()
    task_status = fields.Enum(TaskStatus, by_value=True)
    reason = fields.String()


class ReportedSchema(Shown):
    task_id = fields.String()
    status = fields.Enum(TaskStatus, by_value=True)
    batch_state = fields.Enum(BatchState, by_value=True)


def list_of(noun: str, item: Any, paged: bool = True) -> ma.Schema:
    """The shape of a list answer: the rows under their noun, and the next page's cursor."""
    more = {"next_cursor": fields.String(allow_none=True)} if paged else {}
    rows = fields.List(fields.Nested(item) if isinstance(item, type) else item)
    return Shown.from_dict({noun: rows, **more}, name=f"{noun.capitalize()}List{'' if paged else 'Whole'}")()
