"""Bodies that are files: multipart uploads and JSON lines; and the hash of a body of any kind."""

import hashlib
from typing import Any, cast

from flask import request

from app.domain.documents import media_type, usable_name
from app.errors import Invalid
from app.web.spooling import spooled_body

MOST_FILES = 1_000
JSON_LINES = "application/jsonl"
_TAKES_LINES = "batches.create"  # the endpoint whose body may be as large as MAX_JSONL_BYTES


def uploaded_documents(most: int = MOST_FILES) -> list[dict[str, Any]]:
    """Read the `files` of a multipart body, 1 to `most`, as documents. Raises Invalid."""
    files = request.files.getlist("files")
    # A part without a name is None here, hence str().
    others = sorted(str(name) for name in (set(request.files) | set(request.form)) - {"files"})
    if others or not files or len(files) > most:
        wrong: dict[str, Any] = {name: ["is not a known part"] for name in others}
        wrong = wrong or {"files": [f"has to hold {f'1 to {most} files' if most > 1 else 'one file'}"]}
        raise Invalid("Send the files as multipart parts with the name `files`.", errors=wrong)
    unnamed = [index for index, file in enumerate(files) if not usable_name(file.filename)]
    if unnamed:
        wrong = {"files": {index: ["has to have a file name of 1 to 500 characters"] for index in unnamed}}
        raise Invalid("A file has no usable name.", errors=wrong)
    return [
        {
            "name": file.filename,
            "media_type": media_type(str(file.filename), file.mimetype),
            "content": file.stream.read(),
        }
        for file in files
    ]


def has_lines() -> bool:
    """Whether the body is JSON lines, sent to the endpoint that accepts them."""
    return request.mimetype == JSON_LINES and request.endpoint == _TAKES_LINES


def body_hash() -> str:
    """Hash the body's content: of multipart, the parts, because the boundary differs each time."""
    if request.mimetype == "multipart/form-data":
        sums = []
        for name, file in request.files.items(multi=True):
            sums.append(f"{name}\0{file.filename}\0{hashlib.sha256(file.stream.read()).hexdigest()}")
            file.stream.seek(0)
        return "\n".join(sums + [f"{name}={value}" for name, value in request.form.items(multi=True)])
    if has_lines():
        return hashlib.file_digest(cast(Any, spooled_body()), "sha256").hexdigest()
    return hashlib.sha256(request.get_data()).hexdigest()
