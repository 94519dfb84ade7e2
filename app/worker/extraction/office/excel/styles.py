"""The number formats of a workbook's cell styles."""

from collections.abc import Callable
from typing import Any

from app.worker.extraction.office.archive import child, local
from app.worker.extraction.office.excel.format_code import BUILT_IN
from app.worker.extraction.office.excel.number_format import formatter

Show = Callable[[float], str]


def styles_of(root: Any, date1904: bool) -> list[Show | None]:
    """Return how each cell style shows numbers; None for the format General."""
    if root is None:
        return []
    codes = dict(BUILT_IN)
    own = child(root, "numFmts")
    for element in own if own is not None else ():
        if (element.get("numFmtId") or "").isdigit():
            codes[int(element.get("numFmtId"))] = element.get("formatCode") or "General"
    formats = child(root, "cellXfs")
    found: list[Show | None] = []
    for element in formats if formats is not None else ():
        if local(element.tag) == "xf":
            number = element.get("numFmtId") or "0"
            code = codes.get(int(number) if number.isdigit() else 0, "General")
            found.append(None if code in ("General", "@") else formatter(code, date1904))
    return found
