"""The rest of a run's cost limit: no more tasks are leased than it pays for at the mean price of the calls so far.

Two leases at the same time do not see each other, so a run may still cost a little more than its limit.
"""

from sqlalchemy import Connection, text

from app.domain.leases import TaskKind
from app.domain.limits import affordable_calls
from app.services.queue.leasing import Candidate

_SO_FAR = text("""
SELECT CAST(coalesce(sum(u.cost_nanos), 0) AS bigint) AS spent,
    CAST(coalesce(sum(u.attempts - u.unpriced), 0) AS bigint) AS calls,
    (SELECT CAST(coalesce(sum(c.leased), 0) AS bigint) FROM task_counts c
     WHERE c.batch_id = :batch_id AND c.run = :run AND c.kind = :kind) AS leased
FROM usage_counts u WHERE u.batch_id = :batch_id AND u.run = :run
""")


def calls_left(connection: Connection, candidate: Candidate) -> int | None:
    """Count the tasks that may be leased now: those that the rest of the limit of cost pays for. None: any number."""
    if candidate.max_cost_nanos is None or candidate.kind != TaskKind.ANALYZE:
        return None
    values = {"batch_id": candidate.batch_id, "run": candidate.run, "kind": candidate.kind}
    so_far = connection.execute(_SO_FAR, values).one()
    return affordable_calls(candidate.max_cost_nanos, so_far.spent, so_far.calls, so_far.leased)
