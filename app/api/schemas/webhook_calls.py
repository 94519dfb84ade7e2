"""The bodies, queries and answers of the calls about webhooks."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from app.api.schemas.fields import Flag, Items, Taken, Time, short, whole
from app.api.schemas.taken import Page
from app.api.schemas.views import Shown
from app.domain.webhook import addresses, digests
from app.domain.webhook.delivery_status import DeliveryStatus
from app.domain.webhook.message_types import Format, MessageType

MOST_MESSAGES = 1_000  # named in one replay
LONGEST_DESCRIPTION = 1_000


def _types(**kwargs: Any) -> Items:
    each = fields.String(validate=validate.OneOf(list(MessageType)))
    return Items(each, len(MessageType), least=1, **kwargs)


def _minutes(**kwargs: Any) -> fields.Integer:
    return whole(digests.LEAST_MINUTES, digests.MOST_MINUTES, **kwargs)


class ChangeWebhookBody(Taken):
    url = short(addresses.LONGEST_URL)
    types = _types()
    description = short(LONGEST_DESCRIPTION, allow_none=True)
    digest_minutes = _minutes()
    enabled = Flag()

    @ma.validates_schema
    def not_empty(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data:
            raise ma.ValidationError("give url, types, description, digest_minutes or enabled", "url")


class WebhookBody(Taken):
    url = short(addresses.LONGEST_URL, required=True)
    types = _types(required=True)
    description = short(LONGEST_DESCRIPTION, load_default=None, allow_none=True)
    format = fields.String(load_default=str(Format.STANDARD), validate=validate.OneOf(list(Format)))
    digest_minutes = _minutes(load_default=None, allow_none=True)


class DeliveriesQuery(Page):
    status = fields.String(load_default=None, validate=validate.OneOf(list(DeliveryStatus)))


class ReplayBody(Taken):
    """Messages by their ids, or those that failed in [since, until)."""

    message_ids = Items(short(80), MOST_MESSAGES, least=1, load_default=None)
    since = Time(load_default=None)
    until = Time(load_default=None)

    @ma.validates_schema
    def one_choice(self, data: Mapping[str, Any], **_: Any) -> None:
        by_time = data["since"] is not None or data["until"] is not None
        if (data["message_ids"] is not None) == by_time or (by_time and data["since"] is None):
            raise ma.ValidationError("give message_ids, or since with or without until", "message_ids")


class WebhookSchema(Shown):
    id = fields.Integer()
    url = fields.String()
    description = fields.String(allow_none=True)
    types = fields.List(fields.Enum(MessageType, by_value=True))
    format = fields.Enum(Format, by_value=True)
    digest_minutes = fields.Integer(allow_none=True)
    enabled = fields.Boolean()
    disabled_reason = fields.String(allow_none=True)
    secrets = fields.Integer()
    waiting = fields.Integer()
    failures = fields.Integer()
    failure = fields.String(allow_none=True)
    failed_at = fields.DateTime(allow_none=True)
    delivered_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    secret = fields.String()


class DeliverySchema(Shown):
    id = fields.Integer()
    message_id = fields.String()
    type = fields.Enum(MessageType, by_value=True)
    batch_id = fields.Integer(allow_none=True)
    status = fields.Enum(DeliveryStatus, by_value=True)
    tries = fields.Integer()
    http_status = fields.Integer(allow_none=True)
    error = fields.String(allow_none=True)
    created_at = fields.DateTime()
    next_try_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    body = fields.Dict()


class WebhookTestSchema(Shown):
    delivered = fields.Boolean()
    message_id = fields.String()
    http_status = fields.Integer(allow_none=True)
    error = fields.String(allow_none=True)
    duration_ms = fields.Integer()


class ReplaySchema(Shown):
    replayed = fields.Integer()
