"""What Word and Excel files have in common: they are ZIP archives, which may unpack to enormous sizes."""

import zipfile
from io import BytesIO

from app.worker.extraction.extracted import ENCRYPTED, Unreadable, broken

MAX_ENTRIES = 10_000
MAX_UNPACKED_BYTES = 512 * 1024 * 1024


def check_archive(content: bytes, kind: str) -> None:
    """Check the list of files of an archive before any of them is unpacked. Raises Unreadable."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise broken(kind, error) from error
    if any(entry.flag_bits & 1 for entry in entries):
        raise Unreadable(ENCRYPTED)
    unpacked = sum(entry.file_size for entry in entries)  # zipfile unpacks no more of an entry than this
    if len(entries) > MAX_ENTRIES or unpacked > MAX_UNPACKED_BYTES:
        raise Unreadable(
            f"unpacks to {len(entries)} files of {unpacked} bytes together, "
            f"more than {MAX_ENTRIES} or {MAX_UNPACKED_BYTES}",
            too_large=True,
        )


def row(cells: list[str]) -> str:
    """Write a row of a table as a line, with bars between the cells; '' for an empty row."""
    while cells and not cells[-1]:
        cells.pop()
    return " | ".join(cells)
