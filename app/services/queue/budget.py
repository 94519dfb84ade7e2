"""The rest of a run's cost limit: no more tasks are leased than it pays for at the mean price of the calls so far.

Two leases at the same time do not see each other, so a run may still cost a little more than its limit. A limit that is
changed is obeyed at once; one that is set where there was none, as soon as the batches with work are read again.
"""

from sqlalchemy import Connection, text

from app.domain.leases import TaskKind
from app.domain.limits import affordable_calls
from app.services.queue.leasing import Candidate

_SO_FAR = text("""
SELECT (SELECT max_cost_nanos FROM batches WHERE id = :batch_id) AS max_cost_nanos,
    CAST(coalesce(sum(u.cost_nanos), 0) AS bigint) AS spent,
    CAST(coalesce(sum(u.attempts - u.unpriced), 0) AS bigint) AS calls,
    (SELECT CAST(coalesce(sum(c.leased), 0) AS bigint) FROM task_counts c
     WHERE c.batch_id = :batch_id AND c.run = :run AND c.kind = :kind) AS leased
FROM usage_counts u WHERE u.batch_id = :batch_id AND u.run = :run
""")


def calls_left(connection: Connection, candidate: Candidate) -> int | None:
    """Count the tasks that may be leased now: those that the rest of the limit of cost pays for. None: any number."""
    if not candidate.limits_cost or candidate.kind != TaskKind.ANALYZE:
        return None
    values = {"batch_id": candidate.batch_id, "run": candidate.run, "kind": candidate.kind}
    so_far = connection.execute(_SO_FAR, values).one()
    if so_far.max_cost_nanos is None:
        return None
    return affordable_calls(so_far.max_cost_nanos, so_far.spent, so_far.calls, so_far.leased)
