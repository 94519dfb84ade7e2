"""What a browser shows of an element: nothing of a hidden one, the value of a field, the description of a picture."""

import re
from collections.abc import Callable
from typing import Any

from app.worker.extraction.html.formulas import text_of_formula

HIDDEN = {
    "script", "style", "noscript", "template", "head", "title", "iframe", "object", "embed", "video", "audio", "canvas",
    "datalist", "xml", "frameset", "noframes",
}  # fmt: skip
NO_TEXT_INPUTS = {"hidden", "password", "image", "file", "range", "color"}
_HIDING = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all", re.I)


def is_hidden(element: Any) -> bool:
    """Whether a browser does not show an element and what is in it."""
    if element.tag in HIDDEN or element.get("hidden") is not None:
        return True
    style = element.get("style")
    return bool(style and _HIDING.search(style))


def replacement(element: Any) -> str | None:
    """Return the text that stands for an element and what is in it; None for an element that is its own content."""
    read = _REPLACED.get(element.tag)
    return read(element) if read else None


def is_undescribed_picture(element: Any) -> bool:
    """Whether it is a picture with content, of which the text says nothing. A picture of one pixel has no content."""
    return element.get("alt") is None and {element.get("width"), element.get("height")}.isdisjoint({"0", "1"})


def _picture(element: Any) -> str:
    return _padded(element.get("alt"))


def _field(element: Any) -> str:
    kind = (element.get("type") or "text").lower()
    if kind in ("checkbox", "radio"):
        return " [x] " if element.get("checked") is not None else " [ ] "
    if kind in NO_TEXT_INPUTS:
        return _padded(element.get("alt")) if kind == "image" else ""
    return _padded(element.get("value"))


def _choice(element: Any) -> str:
    options = list(element.iter("option"))
    selected = [option for option in options if option.get("selected") is not None]
    shown = options if element.get("multiple") is not None else selected or options[:1]
    return _padded(" ".join("".join(option.itertext()).strip() or option.get("label", "") for option in shown))


def _drawing(element: Any) -> str:
    return _padded(" ".join(" ".join(text.itertext()) for text in element.iter("text")))


def _padded(text: str | None) -> str:
    return f" {text} " if text else ""


_REPLACED: dict[str, Callable[[Any], str]] = {
    "img": _picture,
    "input": _field,
    "select": _choice,
    "svg": _drawing,
    "math": text_of_formula,
    "textarea": lambda element: _padded("".join(element.itertext())),
    "button": lambda element: _padded("".join(element.itertext())),
    "option": lambda element: _padded("".join(element.itertext())),
    "wbr": lambda element: "",
}
