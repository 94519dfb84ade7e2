"""The page of a batch's input: its prompts, models, limits and documents, and the form that changes them."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import Blueprint, redirect, render_template, request, url_for

from app.domain import new_batch as rules
from app.domain.prompts import PLACEHOLDER, unknown_words
from app.domain.roles import OPERATORS, READERS
from app.domain.transitions import REPLACE_INPUT
from app.errors import Refusal
from app.services.batch.batch_view import BatchView
from app.services.input import edits
from app.ui.access import order, page
from app.ui.batch import input_form
from app.ui.batch.action_form import reason_of, version_shown
from app.ui.batch.overview import of_batch
from app.ui.new_batch.form import Form
from app.ui.new_batch.rows import form_facts
from app.ui.query import cursor
from app.web.services import services

routes = Blueprint("ui_input", __name__)
DOCUMENTS_A_PAGE = 50
LONGEST_NAME = 200
LONGEST_SHOWN = 20_000  # characters of a prompt


class Part(NamedTuple):
    """A part of a prompt: text, or a placeholder."""

    text: str
    is_placeholder: bool


@page(routes, "GET", "/batches/<ident:batch_id>/input", roles=READERS)
def show(batch_id: int) -> str:
    """Show what a batch is made of."""
    head = of_batch(batch_id, "input")
    made_of = services().reads.batch_page.made_of(batch_id)
    name = request.args.get("find", "").strip()[:LONGEST_NAME]
    documents, further = services().reads.documents.page(batch_id, DOCUMENTS_A_PAGE, cursor("after") or 0, name)
    return render_template(
        "batch/input.html",
        **head,
        editable=head["batch"]["state"] in REPLACE_INPUT.sources,
        parts=_has_free_parts(head["batch"]),
        prompts=[{**each, **_shown(each)} for each in made_of.prompts],
        models=made_of.models,
        limits={name: head["batch"]["options"].get(name) for name in rules.AMOUNTS},
        crossed=_crossed(head["batch"]),
        documents=documents,
        further=further,
        find=name,
        unread=services().reads.tasks.unread(batch_id, head["batch"]["run"], [each["id"] for each in documents]),
        is_first="after" not in request.args,
        left_out=services().reads.tasks.left_out(batch_id),
    )


@page(routes, "GET", "/batches/<ident:batch_id>/input/edit", roles=OPERATORS)
def edit(batch_id: int) -> str:
    """Show the form in which prompts, models and options are changed."""
    head = of_batch(batch_id, "input")
    made_of = services().reads.batch_page.made_of(batch_id)
    return _form(head, input_form.filled_in(made_of, head["batch"]["options"]), head["batch"]["version"])


@page(routes, "POST", "/batches/<ident:batch_id>/input/edit", roles=OPERATORS)
def save(batch_id: int) -> Any:
    """Change the input as one edit, and show it; or show what is wrong beside its field."""
    head = of_batch(batch_id, "input")
    version = version_shown(request.form)
    new = input_form.read(request.form, with_parts=_has_free_parts(head["batch"]))
    if new.errors:
        return _form(head, request.form, version, new.errors, "Nothing is changed: something is missing or wrong."), 422
    reason = reason_of(request.form)
    changing = order(if_version=version, context={"reason": reason} if reason else {})
    try:
        edits.replace_input(services().batches, batch_id, new.body, changing)
    except Refusal as refusal:
        return _form(head, request.form, version, {}, refusal.detail), refusal.status
    return redirect(url_for("ui_input.show", batch_id=batch_id), 303)


def _crossed(batch: BatchView) -> set[str]:
    """Name the limits that the present run has reached."""
    usage, counts, limits = batch["usage"], batch["progress"]["analysis"], batch["options"]
    ended = counts["completed"] + counts["failed"]
    used = {
        "max_cost": usage["cost"],
        "max_tokens": usage["input_tokens"] + usage["output_tokens"],
        "max_failure_rate": counts["failed"] / ended if ended else None,
    }
    given = {name: limits[name] for name in used}  # type: ignore[literal-required]
    crossed = {name for name, value in used.items() if value is not None and given[name] and value >= given[name]}
    most = limits["max_failed_tasks"]
    return crossed | ({"max_failed_tasks"} if most is not None and counts["failed"] > most else set())


def _has_free_parts(batch: BatchView) -> bool:
    """Whether a batch has prompts and models that no run has used."""
    return not batch["run"] and not batch["input"]["ready_tasks"]


def _form(
    head: dict[str, Any], filled: Form, version: int, errors: dict[str, str] | None = None, message: str = ""
) -> str:
    return render_template(
        "batch/input_form.html",
        **head,
        **form_facts(filled, errors or {}),
        version=version,
        message=message,
        parts=_has_free_parts(head["batch"]),
    )


def _shown(prompt: dict[str, Any]) -> dict[str, Any]:
    return {
        "parts": list(_parts(prompt["text"][:LONGEST_SHOWN])),
        "system_parts": list(_parts((prompt["system"] or "")[:LONGEST_SHOWN])),
        "unknown": unknown_words(prompt["text"], prompt["system"]),
    }


def _parts(text: str) -> Iterator[Part]:
    at = 0
    for found in re.finditer(PLACEHOLDER, text):
        if found[2]:
            yield Part(text[at : found.start()], False)
            yield Part(found[0], True)
            at = found.end()
    yield Part(text[at:], False)
