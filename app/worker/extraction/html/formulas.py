"""Writes a formula (MathML) on one line: c^2, x_1, a/(b+c)."""

from typing import Any

HIDDEN = {"annotation", "annotation-xml", "mphantom", "mspace"}


def text_of_formula(element: Any) -> str:
    """Return a formula and everything in it as text."""
    tag = str(element.tag).rpartition("}")[2].rpartition(":")[2] if isinstance(element.tag, str) else ""
    if not tag or tag in HIDDEN:
        return ""
    if not len(element):
        return " ".join((element.text or "").split())
    parts = [text for child in element if (text := text_of_formula(child))]
    if tag == "msup" and len(parts) == 2:
        return f"{_group(parts[0])}^{_group(parts[1])}"
    if tag == "msub" and len(parts) == 2:
        return f"{_group(parts[0])}_{_group(parts[1])}"
    if tag == "msubsup" and len(parts) == 3:
        return f"{_group(parts[0])}_{_group(parts[1])}^{_group(parts[2])}"
    if tag == "mfrac" and len(parts) == 2:
        return f"{_group(parts[0])}/{_group(parts[1])}"
    if tag == "msqrt":
        return f"√{_group(''.join(parts))}"
    if tag == "mroot" and len(parts) == 2:
        return f"root({parts[1]}, {parts[0]})"
    if tag == "mtr":
        return " | ".join(parts)
    return ("\n" if tag == "mtable" else "").join(parts)


def _group(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text})"
