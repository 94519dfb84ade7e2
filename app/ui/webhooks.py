"""The pages of webhooks, for admins: the list, one with its messages, and what can be done with it."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from app.domain.roles import ADMINS
from app.domain.webhook import digests
from app.domain.webhook.addresses import LONGEST_URL
from app.domain.webhook.delivery_status import DeliveryStatus
from app.domain.webhook.message_types import Format, MessageType
from app.errors import Invalid
from app.ui.access import order, page
from app.ui.query import cursor
from app.web.services import services

routes = Blueprint("ui_webhooks", __name__)

PAGE_ROWS = 50
_OF_BATCHES = [each for each in MessageType if each.startswith("batch.")]
_TYPES = {"batches": _OF_BATCHES, "the service": [each for each in MessageType if each not in _OF_BATCHES]}
ONE = "/webhooks/<ident:webhook_id>"


@page(routes, "GET", "/webhooks", roles=ADMINS)
def index() -> str:
    """List the webhooks."""
    return _index()


@page(routes, "POST", "/webhooks", roles=ADMINS)
def make() -> Any:
    """Create a webhook, and show its secret, if it has one, this one time."""
    try:
        made = services().webhooks.create(_given(), actor=order().actor)
    except Invalid as refusal:
        return _index(refusal=refusal.detail), 422
    if "secret" not in made:
        return redirect(url_for("ui_webhooks.show", webhook_id=made["id"]), 303)
    return _index(made=made)


@page(routes, "GET", ONE, roles=ADMINS)
def show(webhook_id: int) -> str:
    """Show a webhook and its messages, newest first."""
    return _show(webhook_id)


@page(routes, "POST", ONE, roles=ADMINS)
def act(webhook_id: int) -> Any:
    """Do with a webhook what a button says."""
    webhooks, actor, wanted = services().webhooks, order().actor, request.form.get("do")
    if wanted == "test":
        return _show(webhook_id, tested=webhooks.test(webhook_id))
    if wanted == "rotate":
        return _show(webhook_id, made=webhooks.rotate(webhook_id, actor=actor))
    if wanted == "send again":
        webhooks.replay(webhook_id, [request.form.get("message", "")[:80]])
    elif wanted in ("enable", "disable"):
        webhooks.change(webhook_id, {"enabled": wanted == "enable"}, actor)
    elif wanted == "delete":
        webhooks.delete(webhook_id, actor)
        return redirect(url_for("ui_webhooks.index"), 303)
    else:
        raise Invalid("Choose one of the buttons.")
    return redirect(url_for("ui_webhooks.show", webhook_id=webhook_id), 303)


def _index(**outcome: Any) -> str:
    rows = services().webhooks.list(PAGE_ROWS)
    return render_template("webhooks.html", rows=rows, types=_TYPES, formats=list(Format), **outcome)


def _show(webhook_id: int, **outcome: Any) -> str:
    webhooks = services().webhooks
    status = next((each for each in DeliveryStatus if each == request.args.get("status")), None)
    rows, further = webhooks.deliveries(webhook_id, PAGE_ROWS, cursor("before"), status)
    webhook = webhooks.show(webhook_id)
    statuses = list(DeliveryStatus)
    return render_template(
        "webhook.html", webhook=webhook, rows=rows, further=further, status=status, statuses=statuses, **outcome
    )


def _given() -> dict[str, Any]:
    url, types = request.form.get("url", "").strip(), request.form.getlist("types")
    if not 1 <= len(url) <= LONGEST_URL:
        raise Invalid(f"A webhook needs a URL of up to {LONGEST_URL} characters.")
    if not types or set(types) - set(MessageType):
        raise Invalid("Choose the messages that the webhook gets.")
    form = next((each for each in Format if each == request.form.get("format")), Format.STANDARD)
    return {
        "url": url,
        "types": types,
        "format": form,
        **({"digest_minutes": _minutes()} if form is Format.APPRISE else {}),
    }


def _minutes() -> int:
    given = request.form.get("digest_minutes", "").strip() or str(digests.DEFAULT_MINUTES)
    if given.isascii() and given.isdigit() and digests.LEAST_MINUTES <= int(given[:6]) <= digests.MOST_MINUTES:
        return int(given[:6])
    raise Invalid(f"Minutes between two digests are {digests.LEAST_MINUTES} to {digests.MOST_MINUTES}.")
