"""The bodies of what workers call: leases, reports of tasks, and reports of connections. Unknown fields are refused."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from app.api.schemas.fields import Ability, Flag, Items, JsonObject, Number, Plain, Taken, short, whole
from app.domain import new_batch as rules
from app.domain.connection import abilities
from app.domain.connection.circuits import CallOutcome, ErrorClass
from app.domain.leases import Outcome
from app.domain.new_batch import BIGGEST_INT, DAY_SECONDS

MOST_LEASES = 1_000
MOST_CONNECTIONS = 100  # in one report of connections
MOST_MESSAGE = 1_000  # characters


class LeaseBody(Taken):
    worker = short(200, required=True)
    max_tasks = whole(1, MOST_LEASES, load_default=1)
    lease_seconds = whole(1, DAY_SECONDS, load_default=None, allow_none=True)
    wait_seconds = Number(load_default=0.0, validate=validate.Range(0, 30))
    batch_id = whole(1, 2**63 - 1, load_default=None, allow_none=True)
    can = Items(
        Ability(validate=validate.Length(1, abilities.LONGEST_ABILITY)),
        abilities.MOST_ABILITIES,
        load_default=None,
        allow_none=True,
    )


class LeaseRef(Taken):
    task_id = fields.String(required=True, validate=validate.Length(1, 64))
    lease_token = fields.String(required=True, validate=validate.Length(1, 64))


class HeartbeatBody(Taken):
    worker = short(200)
    lease_seconds = whole(1, DAY_SECONDS, load_default=None, allow_none=True)
    leases = Items(fields.Nested(LeaseRef), MOST_LEASES, required=True)


class ReleaseBody(Taken):
    worker = short(200)
    leases = Items(fields.Nested(LeaseRef), MOST_LEASES, required=True)


class TaskError(Taken):
    code = short(200, required=True)
    message = fields.String(required=True, validate=validate.Length(max=10_000))

    class Meta:
        unknown = ma.INCLUDE  # a worker may add fields


class CompleteBody(Taken):
    lease_token = fields.String(required=True, validate=validate.Length(1, 64))
    result = JsonObject(required=True)


class FailBody(Taken):
    lease_token = fields.String(required=True, validate=validate.Length(1, 64))
    error = fields.Nested(TaskError, required=True)
    retryable = Flag(load_default=True)
    critical = Flag(load_default=False)
    retry_after_seconds = Number(load_default=None, allow_none=True, validate=validate.Range(0, DAY_SECONDS))


class ReportItem(FailBody):
    task_id = fields.String(required=True, validate=validate.Length(1, 64))
    outcome = fields.String(required=True, validate=validate.OneOf(list(Outcome)))
    result = JsonObject()
    error = fields.Nested(TaskError)

    @ma.validates_schema
    def has_what_its_outcome_needs(self, data: Mapping[str, Any], **_: Any) -> None:
        wanted = "result" if data.get("outcome") == Outcome.COMPLETED else "error"
        if wanted not in data:
            raise ma.ValidationError("Missing data for required field.", wanted)


_COMPLETION = {"task_id", "lease_token", "outcome", "result"}


def _is_plain_completion(item: Any) -> bool:
    """Whether an item is a valid completion, as nearly every item is: it then needs no check by the schema."""
    return (
        type(item) is dict  # as the reader of JSON makes it
        and item.keys() == _COMPLETION
        and item["outcome"] == Outcome.COMPLETED
        and type(item["result"]) is dict
        and type(task_id := item["task_id"]) is str
        and type(lease_token := item["lease_token"]) is str
        and 1 <= len(task_id) <= 64
        and 1 <= len(lease_token) <= 64
    )


class ReportItems(Items):
    """A list of ReportItem. The schema takes a third of a bulk report's time, so plain completions bypass it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list) and all(map(_is_plain_completion, value)):
            return value
        found: list[Any] = super()._deserialize(value, *args, **kwargs)
        return found


class ReportBody(Taken):
    reports = ReportItems(fields.Nested(ReportItem), MOST_LEASES, required=True)


class CallsItem(Taken):
    connection = short(rules.LONGEST_NAME, required=True)
    model = short(rules.LONGEST_NAME, load_default=None, allow_none=True)
    outcome = fields.String(required=True, validate=validate.OneOf(list(CallOutcome)))
    error_class = fields.String(
        data_key="class", load_default=None, allow_none=True, validate=validate.OneOf(list(ErrorClass))
    )
    message = Plain(load_default=None, allow_none=True, validate=validate.Length(max=MOST_MESSAGE))
    retry_after_seconds = Number(load_default=None, allow_none=True, validate=validate.Range(0, BIGGEST_INT))

    @ma.validates_schema
    def a_failure_has_a_class(self, data: Mapping[str, Any], **_: Any) -> None:
        if data.get("outcome") != CallOutcome.FAILED:
            return
        if data.get("error_class") is None:
            raise ma.ValidationError("Missing data for required field.", "class")
        if data["error_class"] == ErrorClass.MODEL and data.get("model") is None:
            raise ma.ValidationError("Missing data for required field.", "model")


class ConnectionsBody(Taken):
    worker = short(200, required=True)
    connections = Items(fields.Nested(CallsItem), MOST_CONNECTIONS, least=1, required=True)
