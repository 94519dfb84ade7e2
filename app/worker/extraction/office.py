"""What Word and Excel files have in common: a ZIP archive, which may unpack to far more than anyone can hold."""

import zipfile
from io import BytesIO

from app.worker.extraction.found import ENCRYPTED, Unreadable, broken

MOST_ENTRIES = 10_000
MOST_UNPACKED_BYTES = 512 * 1024 * 1024


def check_archive(content: bytes, kind: str) -> None:
    """Look at an archive's list before anything of it is unpacked. Raises Unreadable."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise broken(kind, error) from error
    if any(entry.flag_bits & 1 for entry in entries):
        raise Unreadable(ENCRYPTED)
    unpacked = sum(entry.file_size for entry in entries)  # no more than that is ever unpacked of an entry
    if len(entries) > MOST_ENTRIES or unpacked > MOST_UNPACKED_BYTES:
        raise Unreadable(
            f"unpacks to {len(entries)} files of {unpacked} bytes together, "
            f"more than {MOST_ENTRIES} or {MOST_UNPACKED_BYTES}",
            too_large=True,
        )


def row(cells: list[str]) -> str:
    """A row of a table as a line: cells apart by a bar, as everywhere here; '' for one that is empty."""
    while cells and not cells[-1]:
        cells.pop()
    return " | ".join(cells)
