"""Lines that are no tasks: the first of them by their numbers, each with its reason, and how many there are."""

from collections.abc import Mapping
from operator import itemgetter

from app.errors import Invalid

MOST_NAMED = 1_000  # bad lines in `errors`
_SHOWN = 20  # bad lines in `detail`
_MOST_QUOTED = 200  # characters of a line in a message about it


class BadLine(Exception):
    """A line that is no task; the message says why. `code` and `param` are OpenAI's words for it."""

    def __init__(self, message: str, code: str = "invalid_json_line", param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param


class BadLines:
    """The bad lines of a body: the first MOST_NAMED with their reasons, the others counted."""

    def __init__(self) -> None:
        self.count = 0
        self.named: list[tuple[int, BadLine]] = []

    def add(self, found: Mapping[int, BadLine]) -> None:
        """Add bad lines, each with its number."""
        self.count += len(found)
        self.named = sorted([*self.named, *found.items()], key=itemgetter(0))[:MOST_NAMED]

    def refusal(self) -> Invalid:
        """Make the refusal that names the bad lines."""
        errors = {f"line {number}": [bad.message] for number, bad in self.named}
        shown = list(errors)[:_SHOWN]
        more = f" and {self.count - len(shown):,} more" if self.count > len(shown) else ""
        detail = f"Nothing was stored. Bad lines: {', '.join(shown)}{more}."
        return Invalid(detail, errors=errors, bad_lines=self.count)


def cut(text: str) -> str:
    """Shorten a caller's own words for a message about them."""
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]} ..."
