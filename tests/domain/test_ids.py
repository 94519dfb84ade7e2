"""Which texts are numbers, and which are ids of tasks."""

import pytest

from app.domain.ids import MOST_DIGITS, plain_number, task_number

NO_NUMBERS = ["", " ", "-1", "+1", "1.0", "1e3", "1_000", "0x10", " 1", "1\n", "one", "²", "١", "１", "1 2"]


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), ("9" * MOST_DIGITS, 10**MOST_DIGITS - 1)])
def test_plain_digits_are_a_number(text: str, number: int) -> None:
    assert plain_number(text) == number


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1" * (MOST_DIGITS + 1)])
def test_any_other_text_is_not(text: str) -> None:
    assert plain_number(text) is None


def test_a_caller_may_take_fewer_digits() -> None:
    assert plain_number("123", most_digits=3) == 123
    assert plain_number("1234", most_digits=3) is None


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("4711", 4711), ("9" * 18, 10**18 - 1)])
def test_the_id_of_a_task(text: str, number: int) -> None:
    assert task_number(text) == number


@pytest.mark.parametrize("text", [*NO_NUMBERS, "0", "01", "007", "9" * 19, "x", "task-1"])
def test_a_text_that_is_not_the_id_of_any_task(text: str) -> None:
    assert task_number(text) == 0
