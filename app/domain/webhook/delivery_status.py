"""What became of a message for a webhook."""

from enum import StrEnum


class DeliveryStatus(StrEnum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"  # after the last try
