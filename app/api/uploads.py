"""Bodies that are files: multipart uploads, and JSON lines that are read from disk, not held in memory."""

import hashlib
import mimetypes
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

import orjson
from flask import g, request

from app.api.parsing import writable_json
from app.errors import Invalid, TooLarge

JSON_LINES = "application/jsonl"
MOST_FILES = 1_000
SPOOL_BYTES = 4 * 1024 * 1024
LINE_BYTES = 16 * 1024 * 1024
# What the platform's table may lack.
MEDIA_TYPES = {".md": "text/markdown", ".txt": "text/plain", ".csv": "text/csv", ".jsonl": JSON_LINES}
_LINE = {"custom_id": str, "method": str, "url": str, "body": dict}
_LONGEST = {"custom_id": 500, "method": 10, "url": 500}


def uploaded_documents(most: int = MOST_FILES) -> list[dict[str, Any]]:
    """Read the `files` of a multipart body as documents, 1 to `most`. Raises Invalid."""
    files = request.files.getlist("files")
    others = sorted(str(name) for name in (set(request.files) | set(request.form)) - {"files"})  # a part may have none
    if others or not files or len(files) > most:
        wrong: dict[str, Any] = {name: ["is not known here"] for name in others}
        wrong = wrong or {"files": [f"has to hold {f'1 to {most} files' if most > 1 else 'one file'}"]}
        raise Invalid("Send the files as multipart parts named `files`.", errors=wrong)
    unnamed = [index for index, file in enumerate(files) if not _plain_name(file.filename)]
    if unnamed:
        wrong = {"files": {index: ["needs a file name of 1 to 500 characters"] for index in unnamed}}
        raise Invalid("A file has no usable name.", errors=wrong)
    return [
        {
            "name": file.filename,
            "media_type": _media_type(str(file.filename), file.mimetype),
            "content": file.stream.read(),
        }
        for file in files
    ]


def _plain_name(name: str | None) -> bool:
    return bool(name) and len(str(name)) <= 500 and "\0" not in str(name)


def _media_type(name: str, said: str | None) -> str:
    suffix = "." + name.rsplit(".", 1)[-1].lower() if "." in name else ""
    if said and said != "application/octet-stream" and len(said) <= 200:
        return said
    return MEDIA_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def body_hash() -> str:
    """Hash the body as the caller means it: of multipart, the parts, since the boundary differs each time."""
    if request.mimetype == "multipart/form-data":
        sums = []
        for name, file in request.files.items(multi=True):
            sums.append(f"{name}\0{file.filename}\0{hashlib.sha256(file.stream.read()).hexdigest()}")
            file.stream.seek(0)
        return "\n".join(sums + [f"{name}={value}" for name, value in request.form.items(multi=True)])
    if request.mimetype == JSON_LINES:
        return hashlib.file_digest(cast(Any, spooled_body()), "sha256").hexdigest()
    return hashlib.sha256(request.get_data()).hexdigest()


def spooled_body() -> IO[bytes]:
    """Give the body as a file from its beginning; a large one lies on disk, and goes with the request."""
    if "spool" not in g:
        spool = g.spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - see close_spool
        while chunk := request.stream.read(1024 * 1024):
            spool.write(chunk)
    found: IO[bytes] = g.spool
    found.seek(0)
    return found


def close_spool(_: BaseException | None) -> None:
    """End the file of the body with its request."""
    if spool := g.pop("spool", None):
        spool.close()


def ready_tasks() -> Iterator[Mapping[str, Any]]:
    """Read the body's lines as ready-made tasks. Raises Invalid naming the number of the first bad line."""
    for number, line in enumerate(spooled_body(), 1):
        if len(line) > LINE_BYTES:
            raise TooLarge(f"Line {number} is longer than {LINE_BYTES} bytes.")
        if line.strip():
            yield _ready_task(number, line)


def count_ready_tasks() -> int:
    """Check every line; return how many tasks they are. Raises Invalid naming up to 20 bad lines by number."""
    wrong: dict[str, list[str]] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(spooled_body(), 1):
        if not line.strip():
            continue
        try:
            custom_id = _ready_task(number, line)["custom_id"]
            if custom_id in seen:
                wrong[f"line {number}"] = [f"custom_id {custom_id!r} stands on line {seen[custom_id]} already"]
            seen[custom_id] = number
        except Invalid as refusal:
            wrong |= refusal.facts["errors"]
        if len(wrong) >= 20:
            break
    if not seen and not wrong:
        wrong = {"line 1": ["there is no task"]}
    if wrong:
        raise Invalid(f"Nothing was stored. Bad lines: {', '.join(wrong)}.", errors=wrong)
    return len(seen)


def _ready_task(number: int, line: bytes) -> Mapping[str, Any]:
    try:
        data = writable_json(line)
    except orjson.JSONDecodeError as error:
        raise _bad(number, f"is not JSON: {error}") from error
    except Invalid as refusal:
        raise _bad(number, "is nested too deeply") from refusal
    if not isinstance(data, dict):
        raise _bad(number, "is not an object")
    for name, kind in _LINE.items():
        value = data.get(name)
        if not isinstance(value, kind):
            raise _bad(number, f"{name} is missing or of a wrong type")
        if isinstance(value, str) and (not value or "\0" in value or len(value) > _LONGEST[name]):
            raise _bad(number, f"{name} has to be 1 to {_LONGEST[name]} characters")
    if unknown := sorted(set(data) - set(_LINE)):
        raise _bad(number, f"unknown fields: {', '.join(unknown)}")
    return data


def _bad(number: int, what: str) -> Invalid:
    return Invalid(f"Line {number} {what}.", errors={f"line {number}": [what]})
