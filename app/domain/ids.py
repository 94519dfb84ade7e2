"""Numbers that arrive as text: ids, versions, cursors. Only plain digits are a number; nothing here raises."""

MOST_DIGITS = 18  # any number of 18 digits fits into 64 bits, which is what a database keeps


def plain_number(text: str, most_digits: int = MOST_DIGITS) -> int | None:
    """Read a number written in the digits 0 to 9 alone, at most `most_digits` of them; None for any other text."""
    plain = text.isascii() and text.isdigit() and len(text) <= most_digits
    return int(text) if plain else None


def task_number(task_id: str) -> int:
    """Read the number in a task's id; 0, which no task has, for a text that is not the id of any task."""
    # "007" is not another name of task 7: an id has one spelling.
    return 0 if task_id[:1] == "0" else plain_number(task_id) or 0
