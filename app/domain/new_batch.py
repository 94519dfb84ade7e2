"""The bounds of a new batch: lengths of its names, numbers of its parts, and its options."""

from dataclasses import dataclass

from app.domain.money import MOST_COST
from app.domain.usage import MOST_TOKENS

LONGEST_NAME = 200  # of a batch, a prompt, a connection or a model
LONGEST_DESCRIPTION = 10_000
LONGEST_REASON = 1_000  # in a query
MOST_DOCUMENTS = 10_000  # in one call
MOST_PROMPTS = 100
MOST_MODELS = 100
BIGGEST_INT = 2**31 - 1
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Amount:
    """An option that is a number within bounds. It may be None, no limit, if that is its default or with `nullable`."""

    least: float
    most: float
    default: float | None = None
    whole: bool = True
    nullable: bool = False

    @property
    def may_be_none(self) -> bool:
        return self.nullable or self.default is None

    def read(self, text: str) -> float | None:
        """Read a number from text; empty text is the default. Raises ValueError with a message for people."""
        if not text.strip():
            return self.default
        try:
            value = int(text) if self.whole else float(text)
        except ValueError as error:
            raise ValueError(f"{text.strip()[:40]!r} is not a {'whole ' if self.whole else ''}number") from error
        if not self.least <= value <= self.most:
            raise ValueError(f"has to be {self.least:,} to {self.most:,}")
        return value


AMOUNTS = {
    "max_attempts": Amount(1, 100, 3),
    "lease_seconds": Amount(1, DAY_SECONDS, 60),
    "max_failed_tasks": Amount(0, BIGGEST_INT),
    "priority": Amount(0, 9, 0),
    "staging_timeout_seconds": Amount(1, BIGGEST_INT, 3600),
    "max_cost": Amount(0, MOST_COST, whole=False),
    "max_tokens": Amount(0, MOST_TOKENS),
    "max_failure_rate": Amount(0, 1, whole=False),
    "pause_after_outage_seconds": Amount(0, 7 * DAY_SECONDS, 600, nullable=True),
    "part_characters": Amount(2_000, 1_000_000, 40_000),
    "overlap_characters": Amount(0, 1_000, 400),
    "keep_runs": Amount(1, BIGGEST_INT),
}
