"""The status of a request that was queued because its batch was locked."""

from enum import StrEnum


class RequestStatus(StrEnum):
    QUEUED = "QUEUED"
    APPLIED = "APPLIED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"
