"""The pace of a deletion: how many rows one transaction takes, and how long nothing is deleted after it."""

TARGET_SECONDS = 0.02  # of a transaction: on SQLite nobody else writes meanwhile
SHARE = 0.08  # of the time in which something is deleted; the others have the rest
FIRST_ROWS, MOST_ROWS = 50, 5_000


class Pace:
    """Fits the size of the slices to the time that they take: rows of a kilobyte and of a megabyte differ a lot."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def took(self, seconds: float) -> None:
        """Note how long a slice of `rows` took."""
        if seconds > 2 * TARGET_SECONDS:
            self.rows = max(1, self.rows // 2)
        elif seconds < TARGET_SECONDS / 2:
            self.rows = min(MOST_ROWS, self.rows * 2)


def pause_after(seconds: float) -> float:
    """Say how many seconds to wait after something was deleted for so many seconds."""
    return seconds * (1 / SHARE - 1)
