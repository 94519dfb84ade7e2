"""A new batch: its form, what it would make, and the batch itself; or a file of ready-made tasks as a batch."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from app.domain import new_batch as rules
from app.domain.documents import OnUnreadable
from app.domain.roles import OPERATORS
from app.errors import Invalid, Refusal
from app.services.input import edits
from app.services.input.json_lines import read_lines
from app.services.input.ready_tasks import ReadyTasks
from app.ui import new_batch_form
from app.ui.access import order, page
from app.ui.new_batch_preview import look
from app.web.services import services
from app.web.spooling import spooled_body

routes = Blueprint("ui_new_batch", __name__)


@page(routes, "GET", "/batches/new", roles=OPERATORS)
def form() -> str:
    """Show the empty form."""
    return _form(new_batch_form.Form(), {})


@page(routes, "POST", "/batches/new", roles=OPERATORS)
def create() -> Any:
    """Create the batch, SAVED. The script is told where its files go; without it, the page of the files follows."""
    new = new_batch_form.read(request.form)
    if not new.errors:
        try:
            batch = edits.create_batch(services().batches, new.body, order())
        except Refusal as refusal:
            if _by_script():
                return _message(refusal.detail, refusal.status)
            return _form(request.form, {}, refusal.detail), refusal.status
        files = url_for("ui_files.files", batch_id=batch["id"])
        if _by_script():
            return jsonify(batch_id=batch["id"], files=files, batch=f"/batches/{batch['id']}"), 201
        return redirect(files, 303)
    if _by_script():
        return jsonify(message="The batch is not saved: something is missing or wrong.", errors=new.errors), 422
    return _form(request.form, new.errors), 422


@page(routes, "POST", "/batches/new/look", roles=OPERATORS)
def look_ahead() -> str:
    """Show what the form would make and send."""
    return render_template("new_batch/_look.html", look=look(request.form, services().known_input.models()))


@page(routes, "POST", "/batches/new/lines", roles=OPERATORS)
def create_of_lines() -> Any:
    """Create a batch of the ready-made tasks in the body, a line each; bad lines are named by their number."""
    name = request.args.get("name", "").strip()
    if not 1 <= len(name) <= rules.LONGEST_NAME or "\0" in name:
        sentence = f"The name has to be 1 to {rules.LONGEST_NAME} characters."
        return _message(sentence, 422, {"name": sentence})
    try:
        with ReadyTasks() as tasks:
            read_lines(spooled_body(), tasks)
            batch = edits.create_batch_of_ready_tasks(services().batches, name, tasks, order())
    except RequestEntityTooLarge:
        most = current_app.config["MAX_JSONL_BYTES"]
        return _message(f"The file is larger than {most:,} bytes. Nothing was stored.", 413)
    except Invalid as refusal:
        lines = {line: str(what[0]) for line, what in refusal.facts.get("errors", {}).items()}
        return jsonify(message=refusal.detail, lines=lines), refusal.status
    except Refusal as refusal:
        return _message(refusal.detail, refusal.status)
    return jsonify(batch_id=batch["id"], batch=f"/batches/{batch['id']}"), 201


def _by_script() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _message(sentence: str, status: int, errors: dict[str, str] | None = None) -> tuple[Response, int]:
    return jsonify(message=sentence, errors=errors or {}), status


def _form(filled: new_batch_form.Form, errors: dict[str, str], message: str = "") -> str:
    known = services().known_input.models()
    return render_template(
        "new_batch/form.html",
        filled=filled,
        errors=errors,
        message=message,
        known=known,
        connections=list(dict.fromkeys(each["connection"] for each in known)),
        names=list(dict.fromkeys(each["model"] for each in known)),
        prompts=_rows(filled, "prompt", ("name", "text", "system", "schema")),
        models=_rows(filled, "model", ("connection", "model", "params")),
        amounts={name: rules.AMOUNTS[name] for name in new_batch_form.OFFERED},
        on_unreadable=list(OnUnreadable),
        look=look(filled, known),
    )


def _rows(filled: new_batch_form.Form, noun: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a repeated part of the form as they were filled in; at least one, empty."""
    values = zip(*(filled.getlist(f"{noun}_{column}") for column in columns), strict=False)
    return [dict(zip(columns, row, strict=True)) for row in values] or [dict.fromkeys(columns, "")]
