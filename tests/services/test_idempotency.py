"""The store of Idempotency-Keys: one decision for each key, its answer stored with its effect."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app import db
from app.db import transaction
from app.errors import KeyInUse, KeyReused
from app.models import IdempotencyKey
from app.services import Services
from app.services.access import idempotency
from app.services.access.idempotency import Claim, StoredAnswer
from tests.services import stories

ANSWER = StoredAnswer(201, {"Location": "/api/batches/7"}, b'{"id": 7, "token": "ilk_secret"}')


def claim(services: Services, caller: str = "anna", key: str = "k", body: str = "f", secret: str = "s") -> Any:
    return idempotency.claim(services.engine, caller, key, body, secret)


def age(services: Services, by: timedelta) -> None:
    """Make every claim older."""
    table = db.table_of(IdempotencyKey)
    with transaction(services.engine) as connection:
        connection.execute(update(table).values(claimed_at=db.now(connection) - by))


def keys(services: Services) -> list[Any]:
    return stories.rows_of(services, IdempotencyKey)


def test_the_first_answer_is_repeated(services: Services) -> None:
    """Contract 4: the same key, caller and body within 24 h gets the first answer again, status and body."""
    first = claim(services)
    assert isinstance(first, Claim)
    first.store_alone(services.engine, ANSWER)
    assert claim(services) == claim(services) == ANSWER


def test_another_body_is_refused(services: Services) -> None:
    """Contract 4: with another body, 422, whether decided or not."""
    first = claim(services)
    for _ in range(2):
        with pytest.raises(KeyReused) as refused:
            claim(services, body="another")
        assert refused.value.status == 422
        if keys(services)[0].status is None:
            first.store_alone(services.engine, ANSWER)


def test_while_the_first_is_being_decided(services: Services, another: Callable[..., Services]) -> None:
    """Contract 4: 409, in every process."""
    claim(services)
    for each in (services, another()):
        with pytest.raises(KeyInUse) as refused:
            claim(each)
        assert (refused.value.status, refused.value.retry_after_seconds) == (409, 1)


def test_two_callers_may_use_the_same_key(services: Services) -> None:
    """Contract 4: the same key and the same caller."""
    claim(services).store_alone(services.engine, ANSWER)
    assert isinstance(claim(services, caller="bert"), Claim)
    assert isinstance(claim(services, key="K"), Claim)
    assert isinstance(claim(services, key="k" * 255), Claim)


def test_a_released_key_is_free(services: Services) -> None:
    claim(services).drop(services.engine)
    assert isinstance(claim(services, body="another"), Claim)


def test_an_answer_is_stored_for_a_day(services: Services) -> None:
    """Contract 4: within 24 h."""
    claim(services).store_alone(services.engine, ANSWER)
    age(services, timedelta(hours=23, minutes=59))
    assert claim(services) == ANSWER
    age(services, timedelta(hours=24, seconds=1))
    assert isinstance(claim(services, body="another"), Claim)


def test_a_claim_whose_process_died_is_taken_over(services: Services) -> None:
    """Contract 4: it had no effect, because an answer and its effect are stored together or not at all."""
    dead = claim(services)
    age(services, idempotency.ABANDONED - timedelta(seconds=30))
    with pytest.raises(KeyInUse):
        claim(services)
    age(services, idempotency.ABANDONED + timedelta(seconds=1))
    assert isinstance(claim(services), Claim)
    with pytest.raises(KeyInUse):
        dead.store_alone(services.engine, ANSWER)
    dead.drop(services.engine)
    assert len(keys(services)) == 1


def test_there_is_no_effect_without_its_answer(services: Services) -> None:
    """Contract 4: both are one transaction."""
    taken, order = claim(services), stories.OPERATOR
    age(services, idempotency.ABANDONED + timedelta(seconds=1))
    claim(services)  # by another process
    batch_id = stories.create(services)

    def record(connection: Any, _: Any) -> None:
        taken.store(connection, ANSWER)

    with pytest.raises(KeyInUse):
        services.batches.decide(batch_id, "stage", type(order)("anna", "operator", record=record))
    assert stories.view(services, batch_id)["version"] == 1


def test_answers_are_encrypted(services: Services) -> None:
    """Contract 5: tokens are shown once: none is readable in the database, and no two answers share a pad."""
    for key in ("a", "b"):
        claim(services, key=key).store_alone(services.engine, ANSWER)
    stored = [bytes(row.body) for row in keys(services)]
    assert all(b"ilk_secret" not in body for body in stored)
    assert stored[0] != stored[1]
    assert "'s'" not in repr(stored)
    assert claim(services, key="a", secret="s").body == ANSWER.body
    assert claim(services, key="a", secret="t").body != ANSWER.body


def test_an_empty_answer(services: Services) -> None:
    claim(services).store_alone(services.engine, StoredAnswer(204, {}, b""))
    assert claim(services) == StoredAnswer(204, {}, b"")


def test_the_sweeper_deletes_old_answers(services: Services) -> None:
    for key in ("old", "new"):
        claim(services, key=key).store_alone(services.engine, ANSWER)
        if key == "old":
            age(services, timedelta(hours=24, seconds=1))
    services.sweeper.sweep()
    assert [row.key for row in keys(services)] == ["new"]
