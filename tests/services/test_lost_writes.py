"""A write over a row that is no longer what was read changes nothing. See app/services/batch/changes.py."""

from typing import Any

import pytest

from app.domain.transitions import BatchState, Kind
from app.errors import Busy
from app.services import Services
from app.services.batch.changes import Change, write_change
from tests.services.stories import OPERATOR, audit, create, view

RESET = Change("reset", Kind.ACTION, OPERATOR)


def reset_both(services: Services, first: int, second: int, read: dict[str, Any]) -> None:
    """Reset two batches in one transaction, the second as if `read` had been read of it."""
    with services.batches.deciding(OPERATOR) as decision:
        for batch_id, seen in ((first, {}), (second, read)):
            batch = decision.lock(batch_id).batch
            write_change(decision.connection, batch.changed(**seen), batch.changed(version=batch.version + 1), RESET)


@pytest.mark.parametrize("read", [{"version": 7}, {"state": BatchState.STAGED}])
def test_it_is_refused_and_nothing_is_committed(services: Services, read: dict[str, Any]) -> None:
    """On PostgreSQL the write goes along with COMMIT; what was written before it is rolled back, too."""
    first, second = create(services), create(services)
    before = [(view(services, each), audit(services, each)) for each in (first, second)]
    with pytest.raises(Busy, match="without locking it"):
        reset_both(services, first, second, read)
    assert [(view(services, each), audit(services, each)) for each in (first, second)] == before
    reset_both(services, first, second, read={})
    assert [view(services, each)["version"] for each in (first, second)] == [2, 2]
