"""Documents: the names and media types they may have, folder patterns, and what an unreadable document does."""

import mimetypes
from enum import StrEnum

LONGEST_NAME = 500  # characters, of a document's name or a folder's pattern
LONGEST_MEDIA_TYPE = 200
UNKNOWN_MEDIA_TYPE = "application/octet-stream"
# The platform's own table may lack these.
MEDIA_TYPES = {".md": "text/markdown", ".txt": "text/plain", ".csv": "text/csv", ".jsonl": "application/jsonl"}
ERASED_NAME = "an erased document"
PLAIN_TYPES = frozenset({"application/json", "application/jsonl", "application/x-ndjson"})  # text, beside text/*
UNREADABLE = frozenset({"unreadable", "too_large"})  # error codes of a document that no worker can read


class OnUnreadable(StrEnum):
    """What happens to a document that cannot be read: the staging fails, or the document is skipped."""

    FAIL = "fail"
    SKIP = "skip"


class OnTooLong(StrEnum):
    """What happens to a document that is too long: its task fails, its beginning is sent, or it is split into parts."""

    FAIL = "fail"
    TRUNCATE = "truncate"
    SPLIT = "split"


class PromptInput(StrEnum):
    """What a prompt gets of a document: its text, or pictures of its pages."""

    TEXT = "text"
    IMAGES = "images"


# How workers make the pictures. A part of the content key of a question: with other pictures it is another one.
IMAGES: dict[str, str | int] = {"format": "jpeg", "dots_per_inch": 150, "most_pages": 50}


def leaves_out(on_unreadable: str, code: object) -> bool:
    """Whether a document that failed permanently with this error code is skipped instead of failing the staging."""
    return on_unreadable == OnUnreadable.SKIP and isinstance(code, str) and code in UNREADABLE


def usable_name(name: str | None) -> bool:
    """Whether a file's name can be the name of a document."""
    return bool(name) and len(str(name)) <= LONGEST_NAME and "\0" not in str(name)


def usable_media_type(text: str) -> bool:
    """Whether a text can be the media type of a document: it is sent in a header, which has no line breaks."""
    return len(text) <= LONGEST_MEDIA_TYPE and not set("\r\n\0") & set(text)


def media_type(name: str, declared: str | None) -> str:
    """Choose a file's media type: the declared one if it is specific, else the one that fits the file's name."""
    suffix = "." + name.rsplit(".", 1)[-1].lower() if "." in name else ""
    if declared and declared != UNKNOWN_MEDIA_TYPE and usable_media_type(declared):
        return declared
    return MEDIA_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or UNKNOWN_MEDIA_TYPE


def objection_to_pattern(pattern: str) -> str | None:
    """Say why a folder's pattern can never match a file below a worker's root; None if it can."""
    parts = pattern.split("/")
    if not parts[0] or ".." in parts:
        return "has to be a path below the workers' root: relative, and without `..`"
    return None
