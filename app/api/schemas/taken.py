"""The bodies and queries of contract 5, field by field. Unknown fields are refused."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
import orjson
from marshmallow import fields, validate

from app.api.schemas.fields import (
    AnswerSchema,
    Flag,
    Items,
    JsonObject,
    MediaType,
    Number,
    Plain,
    Taken,
    Time,
    check_together,
    short,
    whole,
)
from app.domain import documents
from app.domain import new_batch as rules
from app.domain.answer.server_answers import OnTruncated
from app.domain.documents import OnTooLong, OnUnreadable, PromptInput, objection_to_pattern
from app.domain.leases import TaskStatus
from app.domain.new_batch import AMOUNTS, BIGGEST_INT
from app.domain.roles import Role
from app.domain.transitions import ACTIONS, TRIGGERS, BatchState
from app.services.batch.orders import RESERVED
from app.services.reads.audit import PLACE
from app.services.reads.results import RESULT_FORMS

MOST_CONTEXT_BYTES = 8 * 1024


# --- batches


class DocumentBody(Taken):
    """A text with its name; or a folder, which is a pattern of paths below the workers' root."""

    name = short(documents.LONGEST_NAME)
    text = Plain()
    media_type = MediaType(validate=validate.Length(1, documents.LONGEST_MEDIA_TYPE))
    folder = short(documents.LONGEST_NAME)

    @ma.validates_schema
    def one_source(self, data: Mapping[str, Any], **_: Any) -> None:
        if "folder" not in data:
            if missing := [name for name in ("name", "text") if name not in data]:
                raise ma.ValidationError({name: ["Missing data for required field."] for name in missing})
            return
        if beside := sorted(data.keys() - {"folder"}):
            raise ma.ValidationError({name: ["is not allowed beside folder"] for name in beside})
        if objection := objection_to_pattern(data["folder"]):
            raise ma.ValidationError(objection, "folder")

    @ma.post_load
    def plain_text(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data if "folder" in data else {"media_type": "text/plain", **data}


class ReplaceDocumentBody(Taken):
    name = short(documents.LONGEST_NAME)
    text = Plain(required=True)
    media_type = MediaType(load_default="text/plain", validate=validate.Length(1, documents.LONGEST_MEDIA_TYPE))


class PromptBody(Taken):
    name = short(rules.LONGEST_NAME, required=True)
    text = Plain(required=True, validate=validate.Length(min=1))
    system = Plain(load_default=None, allow_none=True, validate=validate.Length(min=1))
    schema = AnswerSchema(load_default=None, allow_none=True)
    input = fields.String(load_default=str(PromptInput.TEXT), validate=validate.OneOf(list(PromptInput)))


class ModelBody(Taken):
    connection = short(rules.LONGEST_NAME, required=True)
    model = short(rules.LONGEST_NAME, required=True)
    params = JsonObject(load_default=dict)


def _amount(name: str) -> fields.Field[Any]:
    rule = AMOUNTS[name]
    if rule.whole:
        return whole(int(rule.least), int(rule.most), load_default=rule.default, allow_none=rule.may_be_none)
    return Number(load_default=rule.default, allow_none=True, validate=validate.Range(rule.least, rule.most))


def _on_truncated() -> fields.String:
    return fields.String(load_default=str(OnTruncated.KEEP), validate=validate.OneOf(list(OnTruncated)))


class OptionsBody(Taken):
    max_attempts = _amount("max_attempts")
    lease_seconds = _amount("lease_seconds")
    max_failed_tasks = _amount("max_failed_tasks")
    priority = _amount("priority")
    staging_timeout_seconds = _amount("staging_timeout_seconds")
    max_cost = _amount("max_cost")
    max_tokens = _amount("max_tokens")
    max_failure_rate = _amount("max_failure_rate")
    pause_after_outage_seconds = _amount("pause_after_outage_seconds")
    auto_resume = Flag(load_default=True)
    part_characters = _amount("part_characters")
    overlap_characters = _amount("overlap_characters")
    keep_runs = _amount("keep_runs")
    on_unreadable = fields.String(load_default=str(OnUnreadable.FAIL), validate=validate.OneOf(list(OnUnreadable)))
    on_truncated = _on_truncated()
    on_too_long = fields.String(load_default=str(OnTooLong.FAIL), validate=validate.OneOf(list(OnTooLong)))
    deadline_at = Time(load_default=None, allow_none=True)


class ChangedOptionsBody(OptionsBody):
    """Some of the options, with no defaults for the others."""


class DocumentsBody(Taken):
    documents = Items(fields.Nested(DocumentBody), rules.MOST_DOCUMENTS, least=1, required=True)


class BatchBody(Taken):
    """A new batch. With `from`, what is not named is that of another batch."""

    name = short(rules.LONGEST_NAME, required=True)
    from_ = fields.Integer(data_key="from", strict=True, validate=validate.Range(1, 2**63 - 1))
    description = Plain(load_default=None, allow_none=True, validate=validate.Length(max=rules.LONGEST_DESCRIPTION))
    documents = Items(fields.Nested(DocumentBody), rules.MOST_DOCUMENTS, load_default=list)
    prompts = Items(fields.Nested(PromptBody), rules.MOST_PROMPTS, load_default=list)
    models = Items(fields.Nested(ModelBody), rules.MOST_MODELS, load_default=list)
    options = fields.Nested(OptionsBody, load_default=lambda: OptionsBody().load({}))

    @ma.pre_load
    def schemas_small_enough(self, data: Any, **_: Any) -> Any:
        return _with_small_schemas(data)

    @ma.post_load(pass_original=True)
    def without_defaults(self, data: dict[str, Any], original: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        if "from_" not in data:
            return data
        options = {name: data["options"][name] for name in original.get("options", {})}
        return {name: data[name] for name in data if name in original} | {"from": data["from_"], "options": options}


def _with_small_schemas(data: Any) -> Any:
    """Check the size of all schemas before any of them is checked, which takes far longer."""
    prompts = data.get("prompts") if isinstance(data, dict) else None
    found = [each.get("schema") for each in prompts if isinstance(each, dict)] if isinstance(prompts, list) else []
    check_together(schema for schema in found if isinstance(schema, dict))
    return data


class ReplaceInputBody(Taken):
    """What is not named stays as it is; so does an option that is not named."""

    prompts = Items(fields.Nested(PromptBody), rules.MOST_PROMPTS)
    models = Items(fields.Nested(ModelBody), rules.MOST_MODELS)
    options = fields.Nested(ChangedOptionsBody(partial=True))

    @ma.pre_load
    def schemas_small_enough(self, data: Any, **_: Any) -> Any:
        return _with_small_schemas(data)

    @ma.validates_schema
    def not_empty(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data:
            raise ma.ValidationError("give prompts, models or options", "prompts")


class LinesQuery(Taken):
    name = short(rules.LONGEST_NAME, required=True)
    on_truncated = _on_truncated()


class RenameBody(Taken):
    name = short(rules.LONGEST_NAME)
    description = Plain(allow_none=True, validate=validate.Length(max=rules.LONGEST_DESCRIPTION))

    @ma.validates_schema
    def not_empty(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data:
            raise ma.ValidationError("give a name, a description, or both", "name")


class Context(JsonObject):
    """The context of an action: small, and without what the service sets itself."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        context: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if taken := [key for key in RESERVED if key in context]:
            raise ma.ValidationError(f"may not have {', '.join(taken)}: the service sets these itself")
        if len(orjson.dumps(context)) > MOST_CONTEXT_BYTES:
            raise ma.ValidationError(f"is larger than {MOST_CONTEXT_BYTES} bytes")
        reason = context.get("reason")
        if reason is not None and (not isinstance(reason, str) or "\0" in reason):
            raise ma.ValidationError("reason has to be text without NUL characters")
        return context


class ActionBody(Taken):
    action = fields.String(required=True, metadata={"enum": list(ACTIONS)})
    context = Context(load_default=dict)
    dry_run = Flag(load_default=False)


# --- pages


class Page(Taken):
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.Integer(load_default=None, validate=validate.Range(0, 2**63 - 1))


class BatchesQuery(Page):
    state = fields.String(load_default=None, validate=validate.OneOf(list(BatchState)))
    name = short(200, load_default=None)


class ActivityQuery(Taken):
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.String(load_default=None, validate=validate.Regexp(PLACE))
    actor = short(200, load_default=None)
    trigger = fields.String(load_default=None, validate=validate.OneOf(TRIGGERS))
    state = fields.String(load_default=None, validate=validate.OneOf(list(BatchState)))
    since = fields.AwareDateTime(load_default=None, format="iso")
    until = fields.AwareDateTime(load_default=None, format="iso")


class WorkersQuery(Taken):
    name = short(200, load_default=None)


class ReasonQuery(Taken):
    reason = short(rules.LONGEST_REASON, load_default=None)


class RunQuery(Taken):
    run = fields.Integer(load_default=None, validate=validate.Range(0, BIGGEST_INT))


class TasksQuery(Page, RunQuery):
    status = fields.String(load_default=None, validate=validate.OneOf(list(TaskStatus)))


class ReportQuery(Page, RunQuery):
    format = fields.String(load_default="json", validate=validate.OneOf(["json", "csv"]))


class ResultsQuery(RunQuery):
    format = fields.String(load_default="ndjson", validate=validate.OneOf(list(RESULT_FORMS)))


class DiagramQuery(Taken):
    format = fields.String(load_default="json", validate=validate.OneOf(["json", "mermaid", "svg"]))


# --- tokens


class TokenBody(Taken):
    name = short(100, required=True)
    role = fields.String(required=True, validate=validate.OneOf(list(Role)))
    expires_at = Time(load_default=None, allow_none=True)
