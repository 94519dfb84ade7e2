"""Writes a formula of an office file (OMML) on one line: c^2, x_1, a/(b+c)."""

from typing import Any

from app.worker.extraction.office.archive import attribute, child, local

_BETWEEN = {"sSup": "^", "sSub": "_", "f": "/"}


def text_of_formula(element: Any) -> str:
    """Return a formula and everything in it as text."""
    name = local(element.tag)
    if name == "t":
        return element.text or ""
    if name.endswith("Pr") or name == "del":
        return ""
    parts = [text for inner in element if (text := text_of_formula(inner))]
    if name in _BETWEEN and len(parts) == 2:
        return f"{_group(parts[0])}{_BETWEEN[name]}{_group(parts[1])}"
    if name == "sSubSup" and len(parts) == 3:
        return f"{_group(parts[0])}_{_group(parts[1])}^{_group(parts[2])}"
    if name == "rad" and parts:
        return f"√{_group(parts[0])}" if len(parts) == 1 else f"root({parts[0]}, {parts[1]})"
    if name == "d":
        marks = child(element, "dPr")
        begin, end = (attribute(child(marks, mark)) if marks is not None else None for mark in ("begChr", "endChr"))
        return f"{'(' if begin is None else begin}{', '.join(parts)}{')' if end is None else end}"
    if name == "nary":
        sign = attribute(child(element, "naryPr", "chr")) or "∫"
        return sign + " ".join(parts)
    if name == "mr":
        return " ".join(parts)
    return ("; " if name == "m" else "").join(parts)


def _group(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text})"
