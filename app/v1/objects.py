"""Files, uploads and lists as OpenAI's objects. Times are whole seconds since 1970."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.domain.file.files import FILE, PART, UPLOAD
from app.services.file.files import StoredFile
from app.services.file.uploads import Part, Upload


def seconds(at: datetime | None) -> int | None:
    """Write a time."""
    return None if at is None else int(at.timestamp())


def file_object(stored: StoredFile) -> dict[str, Any]:
    """Make a File."""
    shown = {
        "id": f"{FILE}{stored.id}",
        "object": "file",
        "bytes": stored.size_bytes,
        "created_at": seconds(stored.created_at),
        "filename": stored.filename,
        "purpose": stored.purpose,
        "status": "processed",
    }
    return shown if stored.expires_at is None else {**shown, "expires_at": seconds(stored.expires_at)}


def upload_object(upload: Upload) -> dict[str, Any]:
    """Make an Upload."""
    return {
        "id": f"{UPLOAD}{upload.id}",
        "object": "upload",
        "bytes": upload.size_bytes,
        "created_at": seconds(upload.created_at),
        "expires_at": seconds(upload.expires_at),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status,
        "file": None if upload.file is None else file_object(upload.file),
    }


def part_object(part: Part, upload_id: str) -> dict[str, Any]:
    """Make an UploadPart."""
    return {
        "id": f"{PART}{part.id}",
        "object": "upload.part",
        "created_at": seconds(part.created_at),
        "upload_id": upload_id,
    }


def list_object(data: Sequence[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """Make a page of a list."""
    ids = [each["id"] for each in data] or [None]
    return {"object": "list", "data": list(data), "first_id": ids[0], "last_id": ids[-1], "has_more": has_more}
