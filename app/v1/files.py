"""Files: upload, list, show, download, delete."""

from contextlib import closing

from flask import Blueprint, Response, current_app, request

from app.domain.documents import usable_name
from app.domain.file.files import FILE, RESULTS, number_of
from app.domain.roles import OPERATORS, READERS
from app.services.file.files import NewFile
from app.v1.access import current_caller
from app.v1.answers_so_far import answers_so_far
from app.v1.calls import answer, call
from app.v1.errors import wrong
from app.v1.fields import lifetime, purpose, whole
from app.v1.multipart import Form, read_form
from app.v1.objects import file_object, list_object
from app.v1.octets import octets
from app.web.services import services

MOST_LISTED = 10_000
ORDERS = ("asc", "desc")
ONE = "/v1/files/<file_id>"

routes = Blueprint("v1_files", __name__)


@call(routes, "POST", "/v1/files", OPERATORS)
def create() -> Response:
    """Store a file; its bytes are written as they are read."""
    most_bytes: int = current_app.config["MAX_JSONL_BYTES"]
    with services().files.draft(most_bytes) as draft:
        form = read_form("file", lambda: draft.writer, most_bytes)
        stored = draft.finish(_new_file(form), current_caller().name)
    return answer(file_object(stored))


@call(routes, "GET", "/v1/files", READERS)
def index() -> Response:
    """List files, newest first."""
    query = request.args
    limit = whole(query, "limit", 1, MOST_LISTED, MOST_LISTED)
    if (order := query.get("order", "desc")) not in ORDERS:
        raise wrong("order", f"Invalid value for 'order': it has to be one of {', '.join(ORDERS)}.")
    rows, has_more = services().files.page(query.get("purpose"), limit, _after(), order == "desc")
    return answer(list_object([file_object(each) for each in rows], has_more))


@call(routes, "GET", ONE, READERS)
def show(file_id: str) -> Response:
    """Show a file."""
    if file_id.startswith(RESULTS):
        with closing(answers_so_far(file_id)) as answers:
            return answer(answers.file_object())
    return answer(file_object(services().files.show(file_id)))


@call(routes, "GET", f"{ONE}/content", READERS)
def content(file_id: str) -> Response:
    """Send the bytes of a file."""
    if file_id.startswith(RESULTS):
        return answers_so_far(file_id).download()
    stored = services().files.show(file_id)
    pieces = services().files.content(stored)
    return octets(pieces, stored.size_bytes)


@call(routes, "DELETE", ONE, OPERATORS)
def delete(file_id: str) -> Response:
    """Delete a file."""
    services().files.delete(file_id, current_caller().name)
    return answer({"id": file_id, "object": "file", "deleted": True})


def _new_file(form: Form) -> NewFile:
    kept = {name: form.fields[f"expires_after[{name}]"] for name in ("anchor", "seconds") if _has(form, name)}
    filename = form.filename or ""
    if not usable_name(filename):
        raise wrong("file", "The file has no usable name: 1 to 500 characters.")
    return NewFile(filename, purpose(form.fields), lifetime(kept or None, "expires_after"))


def _has(form: Form, name: str) -> bool:
    return f"expires_after[{name}]" in form.fields


def _after() -> int:
    """Read the number of the file after which a page begins; 0 for the first page."""
    after = request.args.get("after")
    if not after:
        return 0
    number = number_of(FILE, after)
    if not number:
        raise wrong("after", f"No such File object: {after}")
    return number
