"""The page on which files are added to a batch in state SAVED; a script sends them one by one."""

from typing import Any

import orjson
from flask import Blueprint, current_app, jsonify, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.domain.answer.json_text import writable_json
from app.domain.documents import media_type, usable_media_type, usable_name
from app.domain.roles import OPERATORS
from app.errors import Refusal
from app.services.input import edits
from app.services.reads.documents import MOST_NAMES
from app.ui.access import order, page
from app.ui.batch.overview import of_batch
from app.web.content_encoding import refuse_compressed
from app.web.services import services

routes = Blueprint("ui_files", __name__)
MOST_LISTED = 200


@page(routes, "GET", "/batches/<ident:batch_id>/files", roles=OPERATORS)
def files(batch_id: int) -> str:
    """Show the files that a batch has, and a form for more."""
    head = of_batch(batch_id, "input")
    documents, _ = services().reads.documents.page(batch_id, MOST_LISTED)
    return render_template("new_batch/files.html", **head, documents=documents)


@page(routes, "POST", "/batches/<ident:batch_id>/files", roles=OPERATORS, is_upload=True)
def add(batch_id: int) -> Any:
    """Add the body as a document with the name `?name=`; answer with a sentence about the outcome."""
    name = request.args.get("name", "")
    if not usable_name(name):
        return jsonify(message="The file's name has to be 1 to 500 characters."), 422
    if not usable_media_type(request.args.get("type", "")):
        return jsonify(message="The file's media type has to be one line of up to 200 characters."), 422
    try:
        refuse_compressed()
        content = request.get_data()
        document = {"name": name, "media_type": media_type(name, request.args.get("type")), "content": content}
        batch = edits.add_documents(services().batches, batch_id, [document], order())
    except RequestEntityTooLarge:
        most = current_app.config["MAX_CONTENT_LENGTH"]
        return jsonify(message=f"{name} is larger than the limit of {most:,} bytes."), 413
    except Refusal as refusal:
        return jsonify(message=refusal.detail), refusal.status
    twins = batch.get("duplicates")
    message = f"Left out: {twins[0]['of']} has the same content." if twins else "Stored."
    return jsonify(message=message, documents=batch["input"]["documents"], left_out=bool(twins)), 201


@page(routes, "POST", "/batches/<ident:batch_id>/files/known", roles=OPERATORS, is_upload=True)
def known(batch_id: int) -> Any:
    """List those of the named files that the batch has already, so that the script does not send them again."""
    try:
        body = writable_json(request.get_data())
    except (orjson.JSONDecodeError, Refusal):
        body = None
    names = body.get("names") if isinstance(body, dict) else None
    if not isinstance(names, list) or len(names) > MOST_NAMES or not all(isinstance(name, str) for name in names):
        return jsonify(message=f"Send up to {MOST_NAMES} names."), 422
    try:
        return jsonify(files=services().reads.documents.named(batch_id, [name for name in names if usable_name(name)]))
    except Refusal as refusal:
        return jsonify(message=refusal.detail), refusal.status
