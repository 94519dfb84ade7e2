"""How a worker and its reading children speak: a line of JSON that says how many bytes follow, then the bytes.

JSON and not pickle: what a hostile file may have made of the child can be wrong, but runs nothing here.
"""

import json
from collections.abc import Mapping
from typing import IO, Any

LONGEST_HEAD = 1024 * 1024


class Torn(Exception):
    """The other side is gone, or says something else than agreed."""


def send(pipe: IO[bytes], head: Mapping[str, Any], content: bytes = b"") -> None:
    """Write one frame. Raises OSError when nobody reads any more."""
    pipe.write(json.dumps({**head, "bytes": len(content)}).encode() + b"\n")
    pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes], most_bytes: int) -> tuple[dict[str, Any], bytes]:
    """Read one frame, of at most `most_bytes`. Raises Torn."""
    line = pipe.readline(LONGEST_HEAD)
    try:
        head = json.loads(line)
        size = int(head["bytes"])
    except (ValueError, TypeError, KeyError) as error:
        raise Torn("it ended") from error
    if not 0 <= size <= most_bytes:
        raise Torn(f"it sends {size} bytes")
    content = pipe.read(size)
    if len(content) != size:
        raise Torn("it ended")
    return head, content
