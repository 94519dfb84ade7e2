"""Prints on stderr what the benchmark is doing, so that it does not seem to hang."""

import sys
import time

EVERY_SECONDS = 2.0


class Progress:
    """Prints a line for each step, with the seconds since the start."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._printed_at = 0.0

    def say(self, sentence: str) -> None:
        """Print a line."""
        self._printed_at = time.monotonic()
        print(f"{self._printed_at - self._begun:7.1f} s  {sentence}", file=sys.stderr, flush=True)

    def count(self, noun: str, done: int, total: int) -> None:
        """Print the progress of a long step, at most every two seconds."""
        if time.monotonic() - self._printed_at >= EVERY_SECONDS:
            self.say(f"  {noun}: {done:,} of {total:,}")
