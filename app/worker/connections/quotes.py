"""What a server's message quotes of a request: it is cut out where the message is about the connection. Pure.

Such a message is shown for all batches, and an audit trail keeps it for ever. The document may be erased one day.
"""

from collections.abc import Iterator, Mapping
from typing import Any

CUT = "[...]"
PIECE = 12  # characters that are searched for at once
LEAST = 16  # characters of a quote; a longer one than 2 x PIECE - 2 is always found
NO_CONTENT = "model"  # the field of a request that a message may name


def without_quotes(message: str, body: Mapping[str, Any]) -> str:
    """Cut out of a message what it quotes of the texts in a request's body."""
    for text in _texts({name: value for name, value in body.items() if name != NO_CONTENT}):
        parts, end = [], 0
        for begin, stop in _quotes(message, text):
            parts += [message[end:begin], CUT]
            end = stop
        message = "".join([*parts, message[end:]])
    return message


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _quotes(message: str, text: str) -> Iterator[tuple[int, int]]:
    """Find the quotes of a text in a message, each by its begin and its end."""
    at = last = 0
    while at + PIECE <= len(message):
        found = text.find(message[at : at + PIECE])
        begin, end = at, at + PIECE
        if found >= 0:
            while begin > last and found > 0 and message[begin - 1] == text[found - 1]:
                begin, found = begin - 1, found - 1
            while end < len(message) and message[end] == text[found + end - begin : found + end - begin + 1]:
                end += 1
            if end - begin >= LEAST:
                yield begin, end
                last = end
        at = end
