"""Counts the tokens of a picture in a message, by the rule that OpenAI publishes for GPT-4o and GPT-4.1.

1. A picture is shrunk until it fits into 2,048 x 2,048 dots, and then until its shorter side has 768.
2. Each square of 512 x 512 dots that it then covers, also in part, has 170 tokens, and the picture itself 85.
3. With `"detail": "low"` a picture has 85 tokens.

A picture whose size is not known, such as one at an address, counts as a page of A4 at 150 dots an inch: 1,105 tokens.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from struct import Struct
from typing import Any

LONGEST_SIDE, SHORTER_SIDE, TILE = 2_048, 768, 512
TILE_TOKENS, PICTURE_TOKENS = 170, 85
PAGE_TOKENS = 1_105
_READ = 64 * 1024  # characters of base64 in which the size of a picture is looked for
_PNG_SIZE, _JPEG_SIZE = Struct(">II"), Struct(">HH")
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def is_picture(part: Any) -> bool:
    """Whether a part of a message is a picture, in the form of chats or of responses."""
    return isinstance(part, Mapping) and "image_url" in part


def tokens_of_picture(part: Mapping[str, Any]) -> int:
    """Count the tokens of a part that is a picture."""
    given = part["image_url"]
    about = given if isinstance(given, Mapping) else {**part, "url": given}
    if about.get("detail") == "low":
        return PICTURE_TOKENS
    size = _size_of(str(about.get("url") or ""))
    return PAGE_TOKENS if size is None else tokens_of_size(*size)


def tokens_of_size(width: int, height: int) -> int:
    """Count the tokens of a picture with so many dots."""
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    scale = min(scale, SHORTER_SIDE / min(width, height))
    tiles = math.prod(math.ceil(round(side * scale, 3) / TILE) for side in (width, height))
    return PICTURE_TOKENS + TILE_TOKENS * tiles


def _size_of(url: str) -> tuple[int, int] | None:
    """Read width and height of a PNG or a JPEG that is given as a data URL; None if it is another one."""
    head, _, data = url[:_READ].partition(";base64,")
    if not head.startswith("data:image/"):
        return None
    try:
        begin = base64.b64decode(data[: len(data) // 4 * 4], validate=True)
        size = _size_in(begin)
    except (binascii.Error, ValueError):
        return None
    return size if size and min(size) > 0 else None


def _size_in(begin: bytes) -> tuple[int, int] | None:
    if begin.startswith(b"\x89PNG") and len(begin) >= 24:
        return _PNG_SIZE.unpack_from(begin, 16)
    place = 2
    while begin.startswith(b"\xff\xd8") and place + 9 <= len(begin) and begin[place] == 0xFF:
        mark = begin[place + 1]
        if mark in _JPEG_FRAMES:
            height, width = _JPEG_SIZE.unpack_from(begin, place + 5)
            return width, height
        if mark == 0xFF or mark in _JPEG_WITHOUT_LENGTH:
            place += 1 if mark == 0xFF else 2
        else:
            place += 2 + int.from_bytes(begin[place + 2 : place + 4])
    return None
