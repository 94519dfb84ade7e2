"""The page on which a batch is created: from a form, with a preview, or from a file of ready-made tasks."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from app.domain import new_batch as rules
from app.domain.action_contexts import RUN_WHEN_STAGED
from app.domain.answer.server_answers import OnTruncated
from app.domain.estimates import Texts
from app.domain.ids import plain_number
from app.domain.roles import OPERATORS
from app.errors import Invalid, NotFound, Refusal
from app.services.input import copies, edits
from app.services.input.json_lines import read_lines
from app.services.input.ready_tasks import ReadyTasks
from app.ui.access import order, page
from app.ui.batch import input_form
from app.ui.new_batch import form as form_rules
from app.ui.new_batch.preview import preview
from app.ui.new_batch.rows import form_facts
from app.ui.query import number, wants_json
from app.web.services import services
from app.web.spooling import spooled_body

routes = Blueprint("ui_new_batch", __name__)
COPY = " (copy)"
STAGE, RUN = "stage", "run"
MOST_OFFERED = 20  # models of earlier batches


@page(routes, "GET", "/batches/new", roles=OPERATORS)
def form() -> str:
    """Show the form: empty, or filled in like another batch. Raises NotFound, Invalid."""
    source = number("from")
    return _form(form_rules.Form() if source is None else _like(source), {})


def _like(batch_id: int) -> form_rules.Form:
    batch = services().reads.batches.show(batch_id)
    filled = input_form.filled_in(services().reads.batch_page.made_of(batch_id), batch["options"])
    filled["name"] = f"{batch['name'][: rules.LONGEST_NAME - len(COPY)]}{COPY}"
    filled["description"] = batch["description"] or ""
    filled["from"] = str(batch_id)
    return filled


@page(routes, "POST", "/batches/new", roles=OPERATORS)
def create() -> Any:
    """Create a batch in state SAVED. A script gets the address for its files; a browser goes to the page of files."""
    new = form_rules.read(request.form)
    if new.errors:
        if wants_json():
            return _message("The batch is not saved: something is missing or wrong.", 422, new.errors)
        return _form(request.form, new.errors), 422
    try:
        batch = _created(new.body)
        if request.form.get("then") == RUN:
            context = {"reason": "created, to be run", RUN_WHEN_STAGED: True}
            services().batches.decide(batch["id"], STAGE, order(context=context))  # a refusal is said on its page
    except Refusal as refusal:
        if wants_json():
            return _message(refusal.detail, refusal.status)
        return _form(request.form, {}, refusal.detail), refusal.status
    files, shown = (url_for(name, batch_id=batch["id"]) for name in ("ui_files.files", "ui_batch.show"))
    if wants_json():
        return jsonify(batch_id=batch["id"], files=files, batch=shown), 201
    return redirect(shown if "then" in request.form else files, 303)


def _created(body: dict[str, Any]) -> Any:
    source = body.get("from")
    if source is None:
        return edits.create_batch(services().batches, body, order())
    return copies.create_copy(services().batches, source, body, order())


@page(routes, "POST", "/batches/new/look", roles=OPERATORS)
def show_preview() -> str:
    """Show the tasks that the form would make, and what they would send."""
    return render_template("new_batch/_look.html", look=_preview(request.form))


def _preview(filled: form_rules.Form) -> dict[str, Any]:
    """Describe what a form would make. Documents that are copied are those of a batch that may be gone by now."""
    source = _source_of(filled)
    copied = source["input"]["documents"] if source else 0
    texts = services().reads.known_models.texts_of(source["id"]) if source else Texts()
    workers = services().reads.connections.known_abilities()
    return preview(filled, services().reads.known_models.last_used(), workers, copied, texts)


def _source_of(filled: form_rules.Form) -> Any:
    source = plain_number(filled.get("from", ""))
    try:
        return None if source is None else services().reads.batches.show(source)
    except NotFound:
        return None


@page(routes, "POST", "/batches/new/lines", roles=OPERATORS, is_upload=True)
def create_of_lines() -> Any:
    """Create a batch from JSON lines, each a ready-made task; a refusal names the bad lines by their number."""
    name = request.args.get("name", "").strip()
    if not 1 <= len(name) <= rules.LONGEST_NAME or "\0" in name:
        message = f"The name has to be 1 to {rules.LONGEST_NAME} characters."
        return _message(message, 422, {"name": message})
    on_truncated = request.args.get("on_truncated", str(OnTruncated.KEEP))
    if on_truncated not in list(OnTruncated):
        message = f"on_truncated has to be {' or '.join(OnTruncated)}."
        return _message(message, 422, {"lines_on_truncated": message})
    options = {"on_truncated": on_truncated}
    try:
        with ReadyTasks(services().reads.connections.known_abilities()) as tasks:
            read_lines(spooled_body(), tasks)
            batch = edits.create_batch_of_ready_tasks(services().batches, name, tasks, order(), options)
    except RequestEntityTooLarge:
        most = current_app.config["MAX_JSONL_BYTES"]
        return _message(f"The file is larger than {most:,} bytes. Nothing was stored.", 413)
    except Invalid as refusal:
        lines = {line: str(what[0]) for line, what in refusal.facts.get("errors", {}).items()}
        return jsonify(message=refusal.detail, lines=lines), refusal.status
    except Refusal as refusal:
        return _message(refusal.detail, refusal.status)
    return jsonify(batch_id=batch["id"], batch=url_for("ui_batch.show", batch_id=batch["id"])), 201


def _message(message: str, status: int, errors: dict[str, str] | None = None) -> tuple[Response, int]:
    return jsonify(message=message, errors=errors or {}), status


def _form(filled: form_rules.Form, errors: dict[str, str], message: str = "") -> str:
    workers = services().reads.connections.known_abilities()
    known = [
        {**each, "workers": sum(worker.reaches(each["connection"], each["model"]) for worker in workers)}
        for each in services().reads.known_models.last_used()[:MOST_OFFERED]
    ]
    return render_template(
        "new_batch/form.html",
        **form_facts(filled, errors),
        message=message,
        known=known,
        connections=list(dict.fromkeys(each["connection"] for each in known)),
        names=list(dict.fromkeys(each["model"] for each in known)),
        look=_preview(filled),
        source=_source_of(filled),
    )
