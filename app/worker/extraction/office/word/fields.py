"""Fields, check boxes and symbols of a Word document: what is shown of them."""

from typing import Any

from app.worker.extraction.office.archive import attribute, child, local

CHECKED, UNCHECKED = "[x]", "[ ]"
# Signs of the fonts Wingdings and Symbol, which have places of their own instead of Unicode's.
_SYMBOLS = {
    0xF0FE: CHECKED, 0xF0FD: CHECKED, 0xF052: CHECKED, 0xF0FC: "✓", 0xF0A8: UNCHECKED, 0xF06F: UNCHECKED, 0xF0B7: "•",
    0xF0A7: "▪", 0xF0E0: "→", 0xF0E8: "→", 0xF0B4: "×", 0xF0B3: "≥", 0xF0A3: "≤", 0xF0B1: "±", 0xF0B0: "°", 0xF0AE: "→",
}  # fmt: skip


class Fields:
    """Knows whether the walk is in the instruction of a field, which is not shown, or in its result."""

    def __init__(self) -> None:
        self._open: list[bool] = []  # of each open field: whether its instruction has ended
        self.shown = True

    def take(self, element: Any) -> str:
        """Take a mark of a field. Return what is shown in its place: a check box, or the choice of a list."""
        kind = attribute(element, "fldCharType")
        if kind == "begin":
            self._open.append(False)
        elif kind == "separate" and self._open:
            self._open[-1] = True
        elif kind == "end" and self._open:
            self._open.pop()
        self.shown = all(self._open)
        return _form_field(element) if kind == "begin" else ""


def _form_field(element: Any) -> str:
    box = child(element, "ffData", "checkBox")
    if box is not None:
        stated = child(box, "checked")
        return _mark(stated if stated is not None else child(box, "default"))
    choices = child(element, "ffData", "ddList")
    if choices is None:
        return ""
    entries = [attribute(entry) or "" for entry in choices if local(entry.tag) == "listEntry"]
    chosen = attribute(child(choices, "result")) or "0"
    return entries[int(chosen)] if chosen.isdigit() and int(chosen) < len(entries) else ""


def check_box(control: Any) -> str:
    """Return the mark of a content control that is a check box; '' if it is something else."""
    box = child(control, "sdtPr", "checkbox")
    return _mark(child(box, "checked")) if box is not None else ""


def _mark(checked: Any) -> str:
    return CHECKED if checked is not None and attribute(checked) not in ("0", "false", "off") else UNCHECKED


def symbol(element: Any) -> str:
    """Return the character of a symbol."""
    try:
        code = int(attribute(element, "char") or "", 16)
    except ValueError:
        return ""
    return _SYMBOLS.get(code) or ("" if 0xE000 <= code <= 0xF8FF else chr(code))
