"""Lines on their way into the database: which repeat a custom_id, and that values arrive as they were."""

from collections.abc import Iterator

import pytest

from app.services.input import line_names, ready_rows
from app.services.input.bad_lines import MOST_NAMED, BadLine, BadLines
from app.services.input.line_names import LineNames
from app.services.input.ready_rows import ReadyRows

NAMES = [["a", "b", "c"], ["d", "b"], ["a", "a"]]
NUMBERS = [[1, 2, 4], [5, 6], [9, 10]]


def repeated(portions: list[list[str]]) -> dict[int, str]:
    """Name the repeated custom_ids of lines with NUMBERS, each by its line."""
    names = LineNames()
    for portion, numbers in zip(portions, NUMBERS, strict=True):
        names.add(portion, numbers)
    return {number: bad.message for found in names.repeated(portions) for number, bad in found.items()}


@pytest.mark.parametrize("compared", [1, 2, 250_000])
def test_a_custom_id_that_is_repeated_is_named_with_its_first_line(
    compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_names, "_COMPARED", compared)
    assert repeated(NAMES) == {
        6: "custom_id 'b' is on line 2 already",
        9: "custom_id 'a' is on line 1 already",
        10: "custom_id 'a' is on line 1 already",
    }
    assert repeated([["a", "b", "c"], ["d", "e"], ["f", "g"]]) == {}


def test_custom_ids_are_read_again_only_if_two_hashes_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal hashes alone make no bad line."""
    asked = []

    def portions() -> Iterator[list[str]]:
        asked.append(True)
        yield ["a", "b"]

    names = LineNames()
    names.add(["a", "b"], [1, 2])
    assert list(names.repeated(portions())) == []
    assert not asked
    monkeypatch.setattr(line_names, "hash", lambda _: 7, raising=False)
    names = LineNames()
    names.add(["a", "b"], [1, 2])
    assert list(names.repeated(portions())) == []
    assert asked


def test_the_first_bad_lines_are_named_in_whatever_order_they_are_found() -> None:
    bad = BadLines()
    bad.add({number: BadLine("late") for number in range(10, 10 + MOST_NAMED)})
    bad.add({3: BadLine("early"), 9_999: BadLine("last")})
    assert bad.count == MOST_NAMED + 2
    assert [number for number, _ in bad.named] == [3, *range(10, 9 + MOST_NAMED)]


def test_rows_are_written_in_portions_of_limited_rows_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are added at once; a row that has more bytes is a portion of its own."""
    monkeypatch.setattr(ready_rows, "PORTION_ROWS", 3)
    monkeypatch.setattr(ready_rows, "PORTION_BYTES", 500)
    rows = ReadyRows()
    for amount, body in ((1, b"{}"), (1, b"{}"), (5, b"{}"), (1, b'"' + b"x" * 900 + b'"'), (1, b"{}")):
        rows.add([(f"line {rows.count + n}\n", "POST", "/v1/x", body, "k" * 64, 1) for n in range(amount)])
    assert [len(names) for names in rows.custom_ids()] == [2, 3, 2, 1, 1]
    assert [name for names in rows.custom_ids() for name in names] == [f"line {n}\n" for n in range(9)]
    rows.close()
