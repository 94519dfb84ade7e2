"""What the benchmark is doing, on stderr, so that nobody has to guess whether it hangs."""

import sys
import time

EVERY_SECONDS = 2.0


class Progress:
    """Prints a line for each step, with the seconds since the start."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._said_at = 0.0

    def say(self, sentence: str) -> None:
        """Print a line."""
        self._said_at = time.monotonic()
        print(f"{self._said_at - self._begun:7.1f} s  {sentence}", file=sys.stderr, flush=True)

    def count(self, noun: str, done: int, total: int) -> None:
        """Print how far something long has come, at most every two seconds."""
        if time.monotonic() - self._said_at >= EVERY_SECONDS:
            self.say(f"  {noun}: {done:,} of {total:,}")
