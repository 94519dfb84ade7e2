"""Samples of progress: taken of runs at work alone, not too often, thinned, and read back with rate and ends."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import update

from app import db
from app.db import reading, transaction
from app.models import ProgressSample
from app.services import Services
from app.services.reads import batch_page, progress
from app.services.reads.progress import Moment
from app.services.upkeep.samples import MOST_SAMPLES, SAMPLE_SECONDS, due, sample
from tests.services import stories
from tests.services.stories import act, bring, rows_of

CALL = {"text": "an answer", "usage": {"latency_ms": 200, "cost": 0.5}}


def age(services: Services, seconds: int) -> None:
    """Move every sample into the past, as if that time had gone by."""
    table = db.table_of(ProgressSample)
    with transaction(services.engine) as connection:
        for row in connection.execute(table.select().order_by(table.c.at)).all():
            there = (table.c.batch_id == row.batch_id) & (table.c.at == row.at)
            connection.execute(update(table).where(there).values(at=row.at - timedelta(seconds=seconds)))


def samples(services: Services) -> list[Any]:
    return rows_of(services, ProgressSample)


@pytest.mark.parametrize("state", ["SAVED", "STAGING", "STAGED", "PAUSED", "COMPLETED", "FAILED"])
def test_only_runs_at_work_are_sampled(services: Services, state: str) -> None:
    bring(services, state)
    assert sample(services.engine) == 0
    assert samples(services) == []


def test_a_sample_holds_the_sums_of_the_run(services: Services) -> None:
    batch_id = bring(services, "ANALYZING", documents=3)
    first, second, _ = stories.lease(services, batch_id)
    stories.complete(services, first, CALL)
    stories.fail(services, second, retryable=False)
    assert sample(services.engine) == 1
    (row,) = samples(services)
    assert (row.batch_id, row.run, row.number) == (batch_id, 1, 1)
    assert (row.finished, row.attempts, row.failures, row.timed) == (2, 2, 1, 1)
    assert (row.latency_ms, row.cost_nanos) == (200, 500_000_000)


def test_a_second_one_waits_its_time(services: Services) -> None:
    bring(services, "ANALYZING")
    assert [sample(services.engine) for _ in range(2)] == [1, 0]
    age(services, SAMPLE_SECONDS)
    assert sample(services.engine) == 1
    assert [row.number for row in samples(services)] == [1, 2]


def test_a_full_run_is_thinned_and_sampled_half_as_often(services: Services) -> None:
    batch_id = bring(services, "ANALYZING")
    with transaction(services.engine) as connection:
        now, table = db.now(connection), db.table_of(ProgressSample)
        sums = dict.fromkeys(Moment._fields[1:], 0)
        rows = [
            {
                "batch_id": batch_id,
                "run": 1,
                "number": n,
                "gap_seconds": 10,
                "at": now - timedelta(seconds=10 * (MOST_SAMPLES + 1 - n)),
                **sums,
            }
            for n in range(1, MOST_SAMPLES + 1)
        ]
        connection.execute(table.insert(), rows)
    assert sample(services.engine) == 1
    kept = samples(services)
    assert [row.number for row in kept] == [*range(1, MOST_SAMPLES // 2 + 2)]
    assert kept[-1].gap_seconds == 20
    gaps = {round((b.at - a.at).total_seconds()) for a, b in pairwise(kept[:-1])}
    assert gaps == {20}


def test_many_runs_are_sampled_some_at_a_time(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.upkeep.samples.SLICE", 2)
    runs = [bring(services, "ANALYZING", documents=1) for _ in range(5)]
    assert [take() for take in due(services.engine)] == [2, 2, 1]
    assert sorted((row.batch_id, row.number) for row in samples(services)) == [(each, 1) for each in runs]


def test_the_sweeper_takes_them(services: Services) -> None:
    bring(services, "ANALYZING")
    services.sweeper.sweep()
    services.sweeper.sweep()
    assert len(samples(services)) == 1


def test_the_rate_is_that_of_the_last_minute(services: Services) -> None:
    with reading(services.engine) as connection:
        now = db.now(connection)
    taken = [Moment(now - timedelta(seconds=age), finished) for age, finished in ((300, 0), (100, 400), (20, 480))]
    assert progress.rate(taken, Moment(now, 500)) == pytest.approx(1.0)
    assert progress.rate(taken[2:], Moment(now, 500)) == pytest.approx(1.0)
    assert progress.rate([], Moment(now, 500)) is None
    assert progress.rate([Moment(now, 500)], Moment(now, 500)) is None


def test_a_finished_run_is_read_from_its_start_to_its_end(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = bring(services, "ANALYZING", documents=2)
    sample(services.engine)
    stories.finish_all(services, batch_id)
    moments = services.reads.batch_page.present(batch_id).moments
    assert [each.finished for each in moments] == [0, 2], "too near to the end"
    monkeypatch.setattr(batch_page, "LEAST_SECONDS", 0.0)
    moments = services.reads.batch_page.present(batch_id).moments
    assert [each.finished for each in moments] == [0, 0, 2]
    assert [each.at for each in moments] == sorted(each.at for each in moments)
    assert moments[-1].attempts == 2


def test_a_new_run_begins_anew(services: Services) -> None:
    batch_id = bring(services, "COMPLETED")
    act(services, batch_id, "restage", reuse="none")
    assert services.reads.batch_page.present(batch_id).moments == []
