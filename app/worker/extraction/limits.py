"""What one document may take: of time, of memory, and of text. A limit on everything, or one file takes it all."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Limits for each document; `seconds` holds for its time and for its processor time."""

    seconds: int = 30
    memory_mib: int = 1024
    characters: int = 10_000_000
    bytes: int = 64 * MIB
