"""Calls that a client repeats because it has seen no answer: OpenAI's clients say so in a header."""

from flask import request

from app.domain.ids import plain_number

RETRIES = "x-stainless-retry-count"  # how often the client has repeated this call; 0 or absent: not yet


def is_repeated() -> bool:
    """Whether the client has made the present call before."""
    return bool(plain_number(request.headers.get(RETRIES, "")))
