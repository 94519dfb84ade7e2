"""The messages between a worker and its reader processes: a line of JSON with the number of bytes, then the bytes.

JSON and not pickle: a hostile file may take over a reader process, and unpickling its answer could run code here.
"""

import json
from collections.abc import Mapping
from typing import IO, Any

MAX_HEAD = 1024 * 1024


class PipeBroken(Exception):
    """The other process is gone, or sends something that is not a message."""


def send(pipe: IO[bytes], head: Mapping[str, Any], content: bytes = b"") -> None:
    """Write one message. Raises OSError when the other process is gone."""
    pipe.write(json.dumps({**head, "bytes": len(content)}).encode() + b"\n")
    pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes], max_bytes: int) -> tuple[dict[str, Any], bytes]:
    """Read one message with at most `max_bytes` of content. Raises PipeBroken."""
    line = pipe.readline(MAX_HEAD)
    try:
        head = json.loads(line)
        size = int(head["bytes"])
    except (ValueError, TypeError, KeyError) as error:
        raise PipeBroken("it ended") from error
    if not 0 <= size <= max_bytes:
        raise PipeBroken(f"it sends {size} bytes")
    content = pipe.read(size)
    if len(content) != size:
        raise PipeBroken("it ended")
    return head, content
