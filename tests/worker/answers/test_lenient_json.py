"""JSON with faults: read as far as it can be, and never in a time that grows faster than the text."""

import pytest

from app.worker.answers.lenient_json import loads


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'"\\ud83d"', "\ufffd"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\ude00\\ud83d"', "\ufffd\ufffd"),
        (b'"\xe6\x80"', "\ufffd"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (b"\xef\xbb\xbf[1]", [1]),
        ("\ufeff[1]", [1]),
        ("[1]".encode("utf-16"), [1]),
        (b"[NaN, Infinity, -Infinity, 1e999, -1e999]", [None] * 5),
        (
            b"[NaN, 9223372036854775808, 123456789012345678901234567890]",
            [None, 9223372036854775808, 1.2345678901234568e29],
        ),
        (b'"a\nb\tc"', "a\nb\tc"),
    ],
)
def test_a_fault_costs_no_answer(content: bytes | str, value: object) -> None:
    assert loads(content) == value


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a": "b', b"\xef\xbb\xbf", b"four", b"[1] [2]", b"[NaN" * 5_000, "\ud83d"]
)
def test_what_is_no_json_stays_none(content: bytes | str) -> None:
    with pytest.raises(ValueError):
        loads(content)


def test_a_long_text_with_a_fault_is_read_in_time() -> None:
    """In quadratic time, it would take longer than a test may."""
    assert len(loads(b'["' + b"\\ud83d" * 500_000 + b'", ' + b"9" * 1_000_000 + b"]")) == 2
