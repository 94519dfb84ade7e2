"""The records of the parts of a binary workbook (.xlsb), as [MS-XLSB] describes them: a number, a length, and data."""

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError

_INT, _UINT, _DOUBLE, _UINT16 = Struct("<i"), Struct("<I"), Struct("<d"), Struct("<H")


class Damaged(ValueError):
    """A record that ends before its data does."""


def records(part: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a part: their numbers and their data. Raises Damaged."""
    place, end = 0, len(part)
    try:
        while place < end:
            number = part[place]
            place += 1
            if number & 0x80:
                number = (number & 0x7F) | (part[place] & 0x7F) << 7
                place += 1
            size = shift = 0
            while True:
                byte = part[place]
                place += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80 or shift == 28:
                    break
            if place + size > end:
                raise Damaged("a record is cut off")
            yield number, part[place : place + size]
            place += size
    except IndexError as error:
        raise Damaged("a record is cut off") from error


def whole(data: bytes, place: int) -> int:
    """Read a whole number without a sign, of four bytes."""
    try:
        return int(_UINT.unpack_from(data, place)[0])
    except StructError as error:
        raise Damaged("a number is cut off") from error


def short(data: bytes, place: int) -> int:
    """Read a whole number without a sign, of two bytes."""
    try:
        return int(_UINT16.unpack_from(data, place)[0])
    except StructError as error:
        raise Damaged("a number is cut off") from error


def real(data: bytes, place: int) -> float:
    """Read a number of eight bytes."""
    try:
        return float(_DOUBLE.unpack_from(data, place)[0])
    except StructError as error:
        raise Damaged("a number is cut off") from error


def packed(data: bytes, place: int) -> float:
    """Read a number of four bytes. Two of its bits say whether it is whole, and whether it is divided by 100."""
    bits = whole(data, place)
    number = float(_INT.unpack_from(data, place)[0] >> 2)
    if not bits & 2:
        number = float(_DOUBLE.unpack(_UINT.pack(0) + _UINT.pack(bits & ~3))[0])
    return number / 100 if bits & 1 else number


def text(data: bytes, place: int) -> tuple[str, int]:
    """Read a text after its length, and return it with the place after it. A text may be missing: then it is ''."""
    length = whole(data, place)
    if length == 0xFFFFFFFF:
        return "", place + 4
    end = place + 4 + 2 * length
    if end > len(data):
        raise Damaged("a text is cut off")
    return data[place + 4 : end].decode("utf-16-le", "replace"), end
