"""Reads the form of a new batch by the rules of the API; each error belongs to the id of its field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from werkzeug.datastructures import MultiDict

from app.domain import new_batch as rules
from app.domain.answer.answer_schemas import objection_to_schema, objection_together
from app.domain.answer.json_text import writable_json
from app.domain.answer.server_answers import OnTruncated
from app.domain.documents import OnTooLong, OnUnreadable, PromptInput, objection_to_pattern, usable_name
from app.domain.ids import plain_number
from app.errors import Invalid

# The options in the form, in its order; the other options have their defaults.
OFFERED = (
    "max_attempts",
    "lease_seconds",
    "max_failed_tasks",
    "priority",
    "max_cost",
    "max_tokens",
    "max_failure_rate",
    "pause_after_outage_seconds",
    "part_characters",
    "overlap_characters",
)
DEFAULTS = {
    "on_unreadable": OnUnreadable.FAIL,
    "on_truncated": OnTruncated.KEEP,
    "on_too_long": OnTooLong.FAIL,
}
Form = MultiDict[str, str]


@dataclass
class NewBatch:
    """The create body of contract 5, also with `from`, and the errors in it by the id of their field."""

    body: dict[str, Any]
    errors: dict[str, str] = field(default_factory=dict)


def read(form: Form) -> NewBatch:
    """Read a form. If there are errors, the body is not usable."""
    errors: dict[str, str] = {}
    body: dict[str, Any] = {
        "name": _name(form.get("name", ""), "name", errors, rules.LONGEST_NAME),
        "description": _description(form.get("description", ""), errors),
        "documents": documents(form, errors),
        "prompts": prompts(form, errors),
        "models": models(form, errors),
        "options": options(form, errors),
    }
    if (source := plain_number(form.get("from", ""))) is not None:
        body["from"] = source
        if not body["documents"]:
            del body["documents"]
        for name in rules.AMOUNTS.keys() - set(OFFERED):  # these stay as they are there
            del body["options"][name]
        del body["options"]["auto_resume"]
    return NewBatch(body, errors)


def documents(form: Form, errors: dict[str, str]) -> list[dict[str, Any]]:
    """Read the pasted text and the folder patterns; files are uploaded once the batch exists."""
    found: list[dict[str, Any]] = []
    text = form.get("text", "")
    if text.strip():
        _plain(text, "text", errors)
        name = form.get("text_name", "").strip() or "pasted.txt"
        if not usable_name(name):
            errors["text_name"] = "The name of the text has to be 1 to 500 characters."
        found.append({"name": name, "text": text, "media_type": "text/plain"})
    patterns = [line.strip() for line in form.get("folders", "").splitlines() if line.strip()]
    if len(patterns) >= rules.MOST_DOCUMENTS:
        errors["folders"] = f"A batch can have at most {rules.MOST_DOCUMENTS - 1:,} patterns."
    for pattern in patterns:
        if not usable_name(pattern):
            errors["folders"] = "A pattern has to be 1 to 500 characters."
        elif objection := objection_to_pattern(pattern):
            errors["folders"] = f"The pattern {pattern} {objection}."
        found.append({"folder": pattern})
    return found


def prompts(form: Form, errors: dict[str, str]) -> list[dict[str, Any]]:
    """Read the prompts; empty ones are left out. Too many of them, or too large schemas, are not read any further."""
    columns = [form.getlist(f"prompt_{name}") for name in ("name", "text", "system", "schema")]
    inputs = dict(enumerate(form.getlist("prompt_input"), 1))
    rows = [
        (number, row) for number, row in enumerate(zip(*columns, strict=False), 1) if any(each.strip() for each in row)
    ]
    if len(rows) > rules.MOST_PROMPTS:
        errors["prompts"] = f"A batch can have at most {rules.MOST_PROMPTS} prompts."
        return []
    schemas = {number: _object(row[-1], f"prompt_schema_{number}", errors) for number, row in rows}
    if objection := objection_together(schemas.values()):
        errors["prompts"] = f"The prompts: {objection}."
        return []
    return [
        _prompt(number, (*row[:-1], inputs.get(number, str(PromptInput.TEXT))), schemas[number], errors)
        for number, row in rows
    ]


def _prompt(number: int, row: tuple[str, ...], schema: dict[str, Any] | None, errors: dict[str, str]) -> dict[str, Any]:
    name, text, system, given = row
    at = f"prompt_{{}}_{number}"
    if given not in list(PromptInput):
        errors[at.format("input")] = f"{_label(at.format('input'))} has to be {' or '.join(PromptInput)}."
    if not text.strip():
        errors[at.format("text")] = f"Prompt {number} needs a text."
    for column, value in (("text", text), ("system", system)):
        _plain(value, at.format(column), errors)
    if schema is not None and (objection := objection_to_schema(schema)):
        errors[at.format("schema")] = f"{_label(at.format('schema'))} {objection}."
    return {
        "name": _name(name, at.format("name"), errors, rules.LONGEST_NAME),
        "text": text,
        "system": system if system.strip() else None,
        "schema": schema,
        "input": given,
    }


def models(form: Form, errors: dict[str, str]) -> list[dict[str, Any]]:
    """Read the models; empty ones are left out."""
    found = []
    columns = [form.getlist(f"model_{name}") for name in ("connection", "model", "params")]
    for number, (connection, model, params) in enumerate(zip(*columns, strict=False), 1):
        if not any(each.strip() for each in (connection, model, params)):
            continue
        at = f"model_{{}}_{number}"
        found.append(
            {
                "connection": _name(connection, at.format("connection"), errors, rules.LONGEST_NAME),
                "model": _name(model, at.format("model"), errors, rules.LONGEST_NAME),
                "params": _object(params, at.format("params"), errors) or {},
            }
        )
    if len(found) > rules.MOST_MODELS:
        errors["models"] = f"A batch can have at most {rules.MOST_MODELS} models."
    return found


def options(form: Form, errors: dict[str, str]) -> dict[str, Any]:
    """Read the options; those that the form does not offer have their defaults."""
    found: dict[str, Any] = {name: rule.default for name, rule in rules.AMOUNTS.items()}
    for name in OFFERED:
        try:
            found[name] = rules.AMOUNTS[name].read(form.get(name, ""))
        except ValueError as error:
            errors[name] = f"{name} {error}." if str(error).startswith("has") else f"{name}: {error}."
    for name, default in DEFAULTS.items():
        found[name] = form.get(name) or str(default)
        if found[name] not in (words := list(type(default))):
            errors[name] = f"{name} has to be {' or '.join(words)}."
    return found | {"auto_resume": True}


def _name(value: str, at: str, errors: dict[str, str], most: int) -> str:
    value = value.strip()
    if not 1 <= len(value) <= most or "\0" in value:
        errors[at] = f"{_label(at)} has to be 1 to {most} characters."
    return value


def _description(value: str, errors: dict[str, str]) -> str | None:
    _plain(value, "description", errors)
    if len(value) > rules.LONGEST_DESCRIPTION:
        errors["description"] = f"The description can have at most {rules.LONGEST_DESCRIPTION:,} characters."
    return value or None


def _plain(value: str, at: str, errors: dict[str, str]) -> None:
    if "\0" in value:
        errors[at] = f"{_label(at)} has a NUL character, which cannot be stored."


def _object(value: str, at: str, errors: dict[str, str]) -> dict[str, Any] | None:
    """Read a JSON object; an empty field is None."""
    if not value.strip():
        return None
    try:
        found = writable_json(value.encode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        errors[at] = f"{_label(at)} is not JSON: {error}."
        return None
    except Invalid as refusal:
        errors[at] = refusal.detail
        return None
    if not isinstance(found, Mapping):
        errors[at] = f"{_label(at)} has to be a JSON object."
        return None
    return dict(found)


def _label(at: str) -> str:
    """Name a field in a sentence: `prompt_name_2` is "The name of prompt 2"."""
    if at.count("_") < 2:
        return f"The {at.replace('_', ' ')}"
    noun, column, number = at.split("_")
    return f"The {column} of {noun} {number}"
