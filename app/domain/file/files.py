"""Files: what they are for, their ids as callers write them, and their limits."""

from enum import StrEnum

from app.domain.ids import plain_number

LONGEST_FILENAME = 500
LONGEST_MIME_TYPE = 200
LEAST_LIFETIME_SECONDS, MOST_LIFETIME_SECONDS = 3_600, 30 * 86_400
UPLOAD_SECONDS = 3_600  # an upload that is not completed by then expires
MOST_PART_BYTES = 64 * 1024 * 1024
MOST_PARTS = 10_000

FILE, UPLOAD, PART = "file-", "upload_", "part_"  # what an id begins with
RESULTS = "file-results-"  # and that of the answers that a batch has so far


class Purpose(StrEnum):
    """What a file is for: it is the input of a batch, or its output."""

    BATCH = "batch"
    BATCH_OUTPUT = "batch_output"


class UploadStatus(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


def number_of(prefix: str, ident: str) -> int:
    """Read the number in an id, such as 7 in `file-7`; 0, which nothing has, for a text that is no such id."""
    digits = ident.removeprefix(prefix)
    is_id = ident.startswith(prefix) and not digits.startswith("0")
    return (plain_number(digits) or 0) if is_id else 0
