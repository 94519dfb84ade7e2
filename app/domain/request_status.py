"""What becomes of a request that met a locked batch."""

from enum import StrEnum


class RequestStatus(StrEnum):
    QUEUED = "QUEUED"
    APPLIED = "APPLIED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"
