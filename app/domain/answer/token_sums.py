"""Adds up the tokens of answers, as their servers counted them, in the form of OpenAI's batches. Pure."""

from collections.abc import Mapping
from typing import Any

# what is added up -> where the endpoints put it: in a chat or a completion, and in a response
_NAMES = {
    "input_tokens": ("prompt_tokens", "input_tokens"),
    "output_tokens": ("completion_tokens", "output_tokens"),
}
_DETAILS = {
    "cached_tokens": ("prompt_tokens_details", "input_tokens_details"),
    "reasoning_tokens": ("completion_tokens_details", "output_tokens_details"),
}


class TokenSums:
    """The tokens of the answers that were added."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys([*_NAMES, *_DETAILS], 0)

    def add(self, body: Any) -> None:
        """Add the usage of a body; a number that is missing or is not a count is 0."""
        usage = _object(_object(body).get("usage"))
        for name, places in _NAMES.items():
            self._sums[name] += next((_count(usage[each]) for each in places if each in usage), 0)
        for name, places in _DETAILS.items():
            self._sums[name] += sum(_count(_object(usage.get(each)).get(name)) for each in places)

    def usage(self) -> dict[str, Any]:
        """Show the sums."""
        return usage_of(**self._sums)


def usage_of(
    input_tokens: int, output_tokens: int, cached_tokens: int = 0, reasoning_tokens: int = 0
) -> dict[str, Any]:
    """Make the usage of a batch."""
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached_tokens},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": input_tokens + output_tokens,
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
