"""Causes: which failures are one, and which are certain to fail again."""

import pytest

from app.domain.causes import KEY_CHARACTERS, Cause, cause_of, pattern_of

SERVER = {"code": "server_error", "message": "openai answers 503: the engine is overloaded, request req_8a7b6c5d4e3f"}


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("maximum context length is 8192 tokens, yours has 9,114", "maximum context length is … tokens, yours has …"),
        ("The model 'gpt-9' does not exist", "The model … does not exist"),
        ('no file "a b.txt" at 10.0.0.1:8080', "no file … at …"),
        ("it doesn't answer, and won't", "it doesn't answer, and won't"),  # an apostrophe quotes nothing
        ("request req_8a7b6c5d4e3f failed", "request … failed"),
        ("service-temporarily-unavailable", "service-temporarily-unavailable"),  # a long word, but no identifier
        ("", ""),
    ],
)
def test_what_differs_from_task_to_task_is_left_out(message: str, pattern: str) -> None:
    assert pattern_of(message) == pattern


def test_equal_causes_have_one_key() -> None:
    other = {**SERVER, "message": SERVER["message"].replace("req_8a7b6c5d4e3f", "req_000011112222")}
    one, two = cause_of("openai", SERVER), cause_of("openai", other)
    assert one == two
    assert one.key == two.key
    assert len(one.key) == KEY_CHARACTERS


@pytest.mark.parametrize(
    ("connection", "error"),
    [
        ("other", SERVER),
        ("openai", {**SERVER, "code": "rate_limited"}),
        ("openai", {**SERVER, "message": SERVER["message"].replace("503", "502")}),
        ("openai", {**SERVER, "message": "openai answers 503: bad gateway"}),
        ("openai", {**SERVER, "http_status": 500}),
        (None, None),
    ],
)
def test_a_difference_in_connection_code_status_or_words_is_another_cause(
    connection: str | None, error: dict[str, object] | None
) -> None:
    assert cause_of(connection, error).key != cause_of("openai", SERVER).key


def test_the_status_is_the_workers_or_that_of_its_message() -> None:
    assert cause_of("c", SERVER).http_status == 503
    assert cause_of("c", {"code": "x", "message": "no", "http_status": 418}).http_status == 418
    assert cause_of("c", {"code": "x", "message": "503 apples"}).http_status is None


@pytest.mark.parametrize(
    ("code", "status", "again"),
    [
        ("request_refused", 400, True),
        ("request_refused", 422, True),
        ("request_refused", 403, False),  # a key may be given the right
        ("request_refused", None, False),
        ("too_large", None, True),
        ("server_error", 503, False),
        ("timeout", None, False),
    ],
)
def test_what_is_certain_to_fail_again(code: str, status: int | None, again: bool) -> None:
    assert Cause("c", code, status, "").fails_again == again
