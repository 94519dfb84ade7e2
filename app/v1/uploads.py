"""Uploads: a file that is sent in parts."""

from flask import Blueprint, Response, current_app

from app.domain.file.files import LONGEST_FILENAME, LONGEST_MIME_TYPE, MOST_PART_BYTES, MOST_PARTS
from app.domain.roles import OPERATORS
from app.services.file.files import NewFile
from app.services.file.uploads import NewUpload
from app.v1 import fields
from app.v1.access import current_caller
from app.v1.calls import answer, call
from app.v1.errors import missing, wrong
from app.v1.multipart import read_form
from app.v1.objects import part_object, upload_object
from app.v1.repeated_calls import is_repeated
from app.web.services import services

ONE = "/v1/uploads/<upload_id>"

routes = Blueprint("v1_uploads", __name__)


@call(routes, "POST", "/v1/uploads", OPERATORS)
def create() -> Response:
    """Begin an upload."""
    given = fields.body()
    most_bytes: int = current_app.config["MAX_JSONL_BYTES"]
    new = NewFile(
        fields.text(given, "filename", LONGEST_FILENAME),
        fields.purpose(given),
        fields.lifetime(given.get("expires_after"), "expires_after"),
    )
    size = fields.whole(given, "bytes", 0, most_bytes)
    mime_type = fields.text(given, "mime_type", LONGEST_MIME_TYPE)
    return answer(upload_object(services().uploads.create(NewUpload(new, mime_type, size))))


@call(routes, "POST", f"{ONE}/parts", OPERATORS)
def add_part(upload_id: str) -> Response:
    """Take a part of the file."""
    with services().uploads.draft(upload_id) as draft:
        read_form("data", lambda: draft.writer, MOST_PART_BYTES)
        return answer(part_object(draft.finish(), upload_id))


@call(routes, "POST", f"{ONE}/complete", OPERATORS)
def complete(upload_id: str) -> Response:
    """Make a file of the parts. A client that has seen no answer repeats the call, and gets the same file."""
    if is_repeated() and (completed := services().uploads.completed(upload_id)):
        return answer(upload_object(completed))
    given = fields.body()
    parts = given.get("part_ids")
    if parts is None:
        raise missing("part_ids")
    if not isinstance(parts, list) or not all(isinstance(each, str) for each in parts) or len(parts) > MOST_PARTS:
        raise wrong("part_ids", f"Invalid 'part_ids': a list of up to {MOST_PARTS} ids.", "invalid_type")
    md5 = None if given.get("md5") is None else fields.text(given, "md5", 64)
    return answer(upload_object(services().uploads.complete(upload_id, parts, md5, current_caller().name)))


@call(routes, "POST", f"{ONE}/cancel", OPERATORS)
def cancel(upload_id: str) -> Response:
    """Give an upload up."""
    return answer(upload_object(services().uploads.cancel(upload_id)))
