"""The key of a question: equal for equal questions, different for any other."""

from itertools import combinations

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
