"""Turns the fields of an action's dialog into the context of an action. The service validates the values."""

import shlex
from collections.abc import Mapping
from typing import Any

import orjson
from flask import request
from werkzeug.datastructures import MultiDict

from app.domain import action_contexts
from app.domain.action_contexts import PARSERS, RUN_WHEN_STAGED
from app.domain.ids import plain_number
from app.errors import Invalid

LIMITS = ("max_cost", "max_tokens", "max_failure_rate")
REDO = ("models", "prompts", "status")
LONGEST_REASON = 2_000
MOST_VERSION_DIGITS = 9


def takes_limits(action: str) -> bool:
    """Whether an action's context may change the batch's limits."""
    return action_contexts.limits_of in PARSERS.get(action, ())


def takes_reuse(action: str) -> bool:
    """Whether an action's context may say which answers to reuse."""
    return action_contexts.reuse_of in PARSERS.get(action, ())


def version_shown(form: Mapping[str, str]) -> int:
    """Read the version that the page showed. Raises Invalid: every action needs it."""
    version = plain_number(form.get("version", ""), MOST_VERSION_DIGITS)
    if version is None:
        raise Invalid("The form does not say which version it showed.", errors={"version": ["is missing"]})
    return version


def reason_of(form: Mapping[str, str]) -> str:
    """Read the reason of an action; it may be empty. Raises Invalid."""
    reason = form.get("reason", "").strip()
    if len(reason) > LONGEST_REASON or "\0" in reason:
        message = f"can have at most {LONGEST_REASON:,} characters, and no NUL character"
        raise Invalid(f"The reason {message}.", errors={"reason": [message]})
    return reason


def context_of(action: str, form: "MultiDict[str, str]") -> dict[str, Any]:
    """Make an action's context from the fields of its dialog."""
    context: dict[str, Any] = {}
    if reason := reason_of(form):
        context["reason"] = reason
    if takes_limits(action):
        context |= _limits(form)
    if takes_reuse(action):
        context |= _reuse(form)
        if RUN_WHEN_STAGED in form:
            context[RUN_WHEN_STAGED] = True
    return context


def _limits(form: "MultiDict[str, str]") -> dict[str, Any]:
    limits: dict[str, Any] = {}
    for name in LIMITS:
        if f"no_{name}" in form:
            limits[name] = None
        elif value := form.get(name, "").strip():
            limits[name] = _number(value)
    return limits


def _number(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value  # the service refuses it with a reason


def _reuse(form: "MultiDict[str, str]") -> dict[str, Any]:
    if causes := form.getlist("cause"):
        return {"redo": {"causes": causes}}
    again = form.get("again", "")
    if again == "all":
        return {"reuse": "none"}
    if again == "some":
        return {"redo": {name: chosen for name in REDO if (chosen := form.getlist(name))}}
    return {}


def curl(batch_id: int, action: str, version: int, context: Mapping[str, Any]) -> str:
    """Write the same request as a shell command; it takes the token from a variable."""
    body: dict[str, Any] = {"action": action, **({"context": context} if context else {})}
    parts = (
        "curl -X POST",
        '-H "Authorization: Bearer $TOKEN"',
        f"-H {shlex.quote(f'If-Match: {chr(34)}{version}{chr(34)}')}",
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(orjson.dumps(body).decode())}",
        shlex.quote(f"{request.url_root}api/batches/{batch_id}/action"),
    )
    return " \\\n  ".join(parts)
