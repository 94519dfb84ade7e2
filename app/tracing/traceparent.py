"""The header `traceparent` of W3C Trace Context: where in which trace something belongs."""

import re

_PATTERN = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
SAMPLED = 1


def write(trace_id: int, span_id: int, is_sampled: bool = True) -> str:
    """Write the header of a span."""
    return f"00-{trace_id:032x}-{span_id:016x}-{SAMPLED if is_sampled else 0:02x}"


def parse(header: str | None) -> tuple[int, int, bool] | None:
    """Read the trace, the span and whether it is sampled; None if it is not a header of version 00."""
    found = _PATTERN.fullmatch(header or "")
    return (int(found[1], 16), int(found[2], 16), bool(int(found[3], 16) & SAMPLED)) if found else None
