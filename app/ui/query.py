"""What a request for a page says: whether it wants a fragment or JSON, and the cursors and numbers in its address."""

from flask import request

from app.domain.ids import MOST_DIGITS, plain_number
from app.errors import Invalid


def is_fragment() -> bool:
    """Whether htmx requests a part of the page; when a browser goes back in its history it needs the whole page."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def wants_json() -> bool:
    """Whether one of our scripts sent the request, and reads JSON."""
    return request.accept_mimetypes.best == "application/json"


def cursor(name: str) -> int | None:
    """Read a list's cursor; None, which is the list's beginning, for any text that is not a number."""
    return plain_number(request.args.get(name, ""))


def number(name: str, most_digits: int = MOST_DIGITS) -> int | None:
    """Read an optional number; None where it is absent or empty. Raises Invalid."""
    text = request.args.get(name, "")
    value = plain_number(text, most_digits)
    if text and value is None:
        raise Invalid(f"{name} has to be a whole number.", errors={name: ["has to be a whole number"]})
    return value
