"""The limits for one document. Without a limit, a single file could take all time or memory."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """`seconds` limits both the time and the processor time; `characters` limits the text, `bytes` the file.

    `ocr_languages` are Tesseract's names, as `eng+deu`; without them no picture is read.
    """

    seconds: int = 30
    memory_mib: int = 1024
    characters: int = 10_000_000
    bytes: int = 64 * MIB
    ocr_languages: str = ""
