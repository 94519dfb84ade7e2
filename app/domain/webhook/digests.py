"""The text of a digest: one line for each message that it brings. People read it in a chat or in a mail."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.webhook.message_types import TEST, MessageType

MOST_MESSAGES = 500  # in one digest; the next one brings the rest
MOST_LINES = 50  # more are counted by type
LONGEST_NAME, LONGEST_REASON = 80, 300
LEAST_MINUTES, DEFAULT_MINUTES, MOST_MINUTES = 1, 5, 24 * 60  # between two digests
# Names and reasons come from callers: they shall not call everybody in a channel, nor look like a link.
_PLAIN = str.maketrans({"<": "‹", ">": "›", "@": "(at)", "[": "(", "]": ")"})


def title(bodies: Sequence[Mapping[str, Any]]) -> str:
    """Give the title of a digest of these messages."""
    if len(bodies) == 1:
        return f"Interlock: {bodies[0]['type']}"
    return f"Interlock: {len(bodies)} messages"


def text(bodies: Sequence[Mapping[str, Any]]) -> str:
    """Give the text of a digest: the first MOST_LINES messages a line each, and how many of each type follow them."""
    lines = [f"{body['timestamp']} {_line(body['type'], body['data'])}" for body in bodies[:MOST_LINES]]
    if further := Counter(str(body["type"]) for body in bodies[MOST_LINES:]):
        lines.append(f"And {', '.join(f'{amount} {of_type}' for of_type, amount in sorted(further.items()))}.")
    return "\n".join(lines)


def _line(of_type: str, data: Mapping[str, Any]) -> str:
    if of_type == TEST:
        return "This message tries the webhook."
    if of_type == MessageType.LIMIT_NEAR:
        return f"{_batch(data)}, run {data['run']}, has used {data['used']} of {data['allowed']} ({data['limit']})."
    if of_type in (MessageType.CONNECTION_CLOSED, MessageType.CONNECTION_OPEN):
        names = " of ".join(_plain(data[name], LONGEST_NAME) for name in ("model", "connection") if data[name])
        return f"Connection {names} is {data['state']}{_because(data['reason'])}"
    if of_type == MessageType.WORKER_SILENT:
        return f"Worker {_plain(data['worker'], LONGEST_NAME)} was last seen at {data['last_seen_at']}."
    done = f"{data['trigger']} by {_plain(data['actor'], LONGEST_NAME)}, version {data['version']}"
    failure = f", {data['failure']}" if data["failure"] else ""
    return f"{_batch(data)} is {data['to_state']} ({done}{failure}){_because(data['reason'])}"


def _batch(data: Mapping[str, Any]) -> str:
    return f"Batch {data['batch_id']} {_plain(data['name'], LONGEST_NAME)}"


def _because(reason: str | None) -> str:
    return f": {_plain(reason, LONGEST_REASON)}" if reason else "."


def _plain(given: str, longest: int) -> str:
    """Give a caller's text on one line, cut, and without what a chat gives a meaning to."""
    line = " ".join(given.split())
    cut = line if len(line) <= longest else f"{line[: longest - 3]}..."
    return "".join(each for each in cut if each.isprintable()).translate(_PLAIN)
