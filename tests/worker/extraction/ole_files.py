"""Writes OLE files ([MS-CFB]), and messages as Outlook saves them ([MS-OXMSG])."""

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

SECTOR, SMALL, CUTOFF = 512, 64, 4096
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
Tree = Mapping[str, Any]  # names to contents of streams, or to trees


def ole(tree: Tree) -> bytes:
    """Write an OLE file with these streams and storages."""
    return _Writer(tree).content()


class _Writer:
    def __init__(self, tree: Tree) -> None:
        self._sectors: list[bytes] = []
        self._fat: list[int] = []
        self._small: list[bytes] = []
        self._small_fat: list[int] = []
        self._entries: list[bytearray] = [bytearray()]
        root = self._write(tree)
        begin = self._chain(b"".join(self._small))
        self._entries[0] = _entry("Root Entry", 5, root, begin, len(self._small) * SMALL)

    def content(self) -> bytes:
        directory = self._chain(b"".join(self._entries))
        small_fat = self._chain(struct.pack(f"<{len(self._small_fat)}I", *self._small_fat))
        count = 1
        while count * SECTOR // 4 < len(self._fat) + count:
            count += 1
        places = range(len(self._sectors), len(self._sectors) + count)
        fat = [*self._fat, *[FAT] * count]
        fat += [FREE] * (count * SECTOR // 4 - len(fat))
        small = (small_fat, -(-len(self._small_fat) * 4 // SECTOR)) if self._small_fat else (END, 0)
        numbers = (0, count, directory, 0, CUTOFF, *small, END, 0, places[0])
        mark = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        header = struct.pack("<8s16xHHHHH6xIIIIIIIIII", mark, 0x3E, 3, 0xFFFE, 9, 6, *numbers)
        difat = struct.pack(f"<{count - 1}I", *places[1:]) + struct.pack(f"<{109 - count}I", *[FREE] * (109 - count))
        return header + difat + b"".join(self._sectors) + struct.pack(f"<{len(fat)}I", *fat)

    def _write(self, tree: Tree) -> int:
        """Write the entries of a storage as a tree that has only right branches; return the first."""
        first, before = FREE, None
        for name in sorted(tree, key=lambda each: (len(each), each.upper())):
            number = len(self._entries)
            self._entries.append(bytearray(128))
            value = tree[name]
            if isinstance(value, bytes):
                begin = self._chain_small(value) if len(value) < CUTOFF else self._chain(value)
                self._entries[number] = _entry(name, 2, FREE, begin, len(value))
            else:
                self._entries[number] = _entry(name, 1, self._write(value), 0, 0)
            if before is None:
                first = number
            else:
                struct.pack_into("<I", self._entries[before], 72, number)
            before = number
        return first

    def _chain(self, content: bytes) -> int:
        return _chain(content, SECTOR, self._sectors, self._fat)

    def _chain_small(self, content: bytes) -> int:
        return _chain(content, SMALL, self._small, self._small_fat)


def _chain(content: bytes, size: int, sectors: list[bytes], fat: list[int]) -> int:
    pieces = [content[start : start + size].ljust(size, b"\0") for start in range(0, len(content), size)]
    if not pieces:
        return END
    begin = len(sectors)
    sectors += pieces
    fat += [*range(begin + 1, begin + len(pieces)), END]
    return begin


def _entry(name: str, kind: int, child: int, begin: int, size: int) -> bytearray:
    encoded = name.encode("utf-16-le") + b"\0\0"
    return bytearray(struct.pack("<64sHBBIII36xIQ", encoded, len(encoded), kind, 1, FREE, FREE, child, begin, size))


def message(
    texts: Mapping[str, str] | None = None,
    attachments: Sequence[Tree] = (),
    sent: datetime | None = None,
    code_page: int = 0,
    inner: bool = False,
    **streams: bytes,
) -> dict[str, Any]:
    """Make the tree of a message: properties by their numbers, such as `0037` for the subject."""
    fixed = b""
    if sent is not None:
        ticks = int((sent - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
        fixed += struct.pack("<IIQ", 0x00390040, 6, ticks)
    if code_page:
        fixed += struct.pack("<IIQ", 0x3FDE0003, 6, code_page)
    tree: dict[str, Any] = {"__properties_version1.0": bytes(24 if inner else 32) + fixed}
    tree |= {f"__substg1.0_{name}001F": value.encode("utf-16-le") for name, value in (texts or {}).items()}
    tree |= {f"__substg1.0_{name.removeprefix('p')}": value for name, value in streams.items()}
    tree |= {f"__attach_version1.0_#{number:08X}": each for number, each in enumerate(attachments)}
    return tree
