"""What a denial means: one request, or the key."""

from contextlib import ExitStack

from app.worker.connections.access import SEVERAL, Access


def denied(access: Access) -> tuple[str, bool, bool]:
    with access.call():
        failure = access.denied("No.")
    return failure.code, failure.retryable, failure.critical


def test_before_any_success_it_is_the_key() -> None:
    assert denied(Access()) == ("no_access", False, True)


def test_while_others_are_under_way_it_is_asked_again() -> None:
    access = Access()
    with ExitStack() as others:
        others.enter_context(access.call())
        assert denied(access) == ("request_refused", True, False)
        access.succeeded()
        assert denied(access) == ("request_refused", False, False)


def test_several_in_a_row_are_the_key_and_a_success_begins_anew() -> None:
    access = Access()
    for _ in range(3):
        access.succeeded()
        assert [denied(access) for _ in range(SEVERAL - 1)] == [("request_refused", False, False)] * (SEVERAL - 1)
    assert denied(access) == ("no_access", False, True)
