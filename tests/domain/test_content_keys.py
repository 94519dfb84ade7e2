"""The key of a question: equal for equal questions, different for any other."""

import json
from hashlib import sha256
from itertools import combinations
from random import Random
from typing import Any

from app.domain.content_keys import key_of, key_of_line, key_of_text


def test_a_key_is_64_hex_digits_whatever_the_order_of_members() -> None:
    assert key_of({"a": 1, "b": [1, None]}) == key_of({"b": [1, None], "a": 1})
    assert len(key_of("x")) == len(key_of_text("")) == 64


def test_different_parts_have_different_keys() -> None:
    parts = [("a", "b"), ("ab",), ("ab", ""), ("", "ab"), (["a", "b"],), ("a", None, "b"), ({"a": "b"},), (1,), ("1",)]
    for one, other in combinations(parts, 2):
        assert key_of(*one) != key_of(*other)
    assert key_of_text("a") != key_of_text("a ")


def test_half_a_surrogate_pair_has_a_key_too() -> None:
    assert key_of_text("\ud800") != key_of_text("\ud801")
    assert key_of("\ud800") != key_of("\ud801")


def test_a_lines_custom_id_is_no_part_of_the_question() -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/x", "body": {"n": 1}}
    assert key_of_line(line) == key_of_line({**line, "custom_id": "b"})
    for changed in ({"method": "GET"}, {"url": "/v1/y"}, {"body": {"n": 2}}):
        assert key_of_line(line) != key_of_line({**line, **changed})


def test_a_key_is_that_of_the_json_that_python_writes() -> None:
    """Keys are kept: those of an earlier release, which wrote all JSON with `json`, have to stay the same."""
    random = Random(1)
    floats = [random.random() * 10.0 ** random.randint(-30, 30) for _ in range(5_000)]
    characters = "".join(map(chr, [*range(0x2FF), 0x2028, 0xD7FF, 0xE000, 0xFFFF, 0x1F600]))
    values: list[Any] = [
        *floats, 1e-5, 1e-7, 1e16, 1e22, 5e-324, -0.0, 0.0001, 2**63, 2**64 - 1, -(2**63), True, None, "e-", "0.0000",
        characters, dict.fromkeys(characters, 1), {"z": [], "\U0001f600": {}, "\uffff": 2},
    ]  # fmt: skip
    for value in values:
        written = json.dumps([value], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert key_of(value) == sha256(written.encode()).hexdigest(), value


def test_json_that_is_nested_deeply_has_a_key_too() -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    assert key_of(deep) != key_of([deep])
