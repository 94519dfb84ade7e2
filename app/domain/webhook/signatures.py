"""Signatures by Standard Webhooks 1.0: `v1,` and the base64 of an HMAC-SHA256 over id, time and body."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"
SECRET_BYTES = 32
ROTATION_SECONDS = 24 * 3_600  # for so long a secret that was replaced signs, too


def new_secret() -> str:
    """Make a secret as receivers are given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(message_id: str, at: int, body: bytes, signing: Iterable[str]) -> Mapping[str, str]:
    """Make the headers of a message that is sent at `at`, in seconds since 1970; each secret signs it."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(signature(secret, message_id, at, body) for secret in signing),
    }


def signature(secret: str, message_id: str, at: int, body: bytes) -> str:
    """Sign a message with one secret."""
    signed = f"{message_id}.{at}.".encode() + body
    digest = hmac.digest(base64.b64decode(secret.removeprefix(PREFIX)), signed, "sha256")
    return "v1," + binascii.b2a_base64(digest, newline=False).decode()
