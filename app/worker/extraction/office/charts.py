"""Reads a chart of Word, PowerPoint or Excel: its title, and its values as a table with a column for each series."""

from typing import Any

from app.worker.extraction.office.archive import child, local
from app.worker.extraction.office.excel.number_format import formatter, general
from app.worker.extraction.rows import row

MAX_SERIES = 100
MAX_POINTS = 10_000  # of one series
_CATEGORIES, _VALUES = ("cat", "xVal"), ("val", "yVal")


def lines_of_chart(root: Any) -> list[str]:
    """Return the lines of a chart, from the values that the file keeps beside it; [] if it keeps none."""
    if root is None or local(root.tag) != "chartSpace":
        return []
    title = " ".join(_texts(child(root, "chart", "title")).split())
    series = list(root.iter("{*}ser"))[:MAX_SERIES]
    names = [" ".join(_points(child(each, "tx")).values()) for each in series]
    values = [_points(_first(each, _VALUES)) for each in series]
    categories: dict[int, str] = {}
    for each in series:
        categories = _points(_first(each, _CATEGORIES)) | categories
    numbers = sorted(set(categories).union(*values))
    header = row(["", *names])
    rows = [row([categories.get(number, ""), *(each.get(number, "") for each in values)]) for number in numbers]
    if not title and not any(rows):
        return []
    return [f"Chart: {title}".rstrip(), *([header] if header else []), *filter(None, rows)]


def _first(element: Any, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := child(element, name)) is not None), None)


def _points(element: Any) -> dict[int, str]:
    """Return the texts or numbers that are kept of a range, by their place. Numbers are shown in their format."""
    if element is None:
        return {}
    found: dict[int, str] = {}
    code = next((each.text or "" for each in element.iter("{*}formatCode")), "")
    for number, point in enumerate(element.iter("{*}pt")):
        if number == MAX_POINTS:
            break
        place = point.get("idx") or ""
        value = " ".join((getattr(child(point, "v"), "text", None) or "").split())
        is_number = local(point.getparent().tag) in ("numCache", "numLit")
        found[int(place) if place.isdigit() else number] = _shown(value, code) if is_number else value
    if not found:  # the name of a series may be written without a range
        value = " ".join((getattr(child(element, "v"), "text", None) or "").split())
        return {0: value} if value else {}
    return found


def _shown(value: str, code: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    try:
        return general(number) if code in ("", "General", "@") else formatter(code)(number)
    except (ValueError, OverflowError):
        return value


def _texts(element: Any) -> str:
    return "" if element is None else " ".join(each.text or "" for each in element.iter("{*}t", "{*}v"))
