"""The tokens of one call, as the server counts them. Pure: a body in, counts out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tokens:
    """`cached` are those of `input` that the server had kept from earlier calls; None where it does not say."""

    input: int
    output: int
    cached: int | None = None
    reasoning: int | None = None

    @property
    def usage(self) -> dict[str, int]:
        """The counts by the names that a result's `usage` has for them."""
        counts = {"input_tokens": self.input, "output_tokens": self.output}
        details = {"cached_tokens": self.cached, "reasoning_tokens": self.reasoning}
        return {**counts, **{name: count for name, count in details.items() if count is not None}}


def tokens_of(body: Mapping[str, Any]) -> Tokens | None:
    """Read the `usage` of a body, in the names of either API; None when the server does not count."""
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return None
    read = _count(usage, "prompt_tokens", "input_tokens")
    written = _count(usage, "completion_tokens", "output_tokens")
    if read is None:
        return None
    cached = _detail(usage, "cached_tokens", "prompt_tokens_details", "input_tokens_details")
    if cached is None:
        cached = _count(usage, "prompt_cache_hit_tokens")  # DeepSeek
    reasoning = _detail(usage, "reasoning_tokens", "completion_tokens_details", "output_tokens_details")
    return Tokens(read, written or 0, None if cached is None else min(cached, read), reasoning)


def _detail(usage: Mapping[str, Any], name: str, *places: str) -> int | None:
    details: Any = next((usage[place] for place in places if isinstance(usage.get(place), Mapping)), {})
    return _count(details, name)


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    value = next((usage[name] for name in names if name in usage), None)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
