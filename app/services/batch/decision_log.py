"""The log and metrics of decisions: one line for each committed change, and one for each request without a change."""

from collections import Counter
from collections.abc import Iterable, Sequence

import structlog

from app.domain import limits
from app.domain.leases import Outcome
from app.metrics import CHANGES, DECISIONS, LIMIT_PAUSES, REPORTS, count_failure
from app.services.batch import breaker
from app.services.batch.changes import ChangeMade
from app.services.batch.orders import Answer, Order
from app.services.queue.reports import Report, Verdict

log = structlog.get_logger()
for _name in limits.NAMES:  # from 0 on: Prometheus does not see the first increase of a counter that was not there
    LIMIT_PAUSES.labels(_name)


def log_changes(changes: Iterable[ChangeMade]) -> None:
    """Log the changes of a committed transaction."""
    for made in changes:
        CHANGES.labels(made.change.trigger).inc()
        if made.change.order.actor == breaker.ACTOR:
            LIMIT_PAUSES.labels(made.change.order.context["limit"]).inc()
        log.info(
            "batch_changed",
            batch_id=made.batch.id,
            version=made.batch.version,
            trigger=made.change.trigger,
            from_state=made.from_state,
            to_state=made.batch.state,
            actor=made.change.order.actor,
            reason=made.change.reason,
        )


def count_reports(judged: Sequence[tuple[Report, Verdict]]) -> None:
    """Count the reports of a committed transaction, by their outcome or as `refused`; failed ones by their code."""
    outcomes = Counter("refused" if verdict.refusal else str(report.outcome) for report, verdict in judged)
    for outcome, amount in outcomes.items():
        REPORTS.labels(outcome).inc(amount)
    for report, verdict in judged:
        if report.outcome is Outcome.FAILED and not verdict.refusal:
            count_failure(str((report.error or {}).get("code")))


def log_answer(batch_id: int, action: str, order: Order, answer: Answer) -> None:
    """Count the answer to a request; log it, unless it is a change: `log_changes` logs those."""
    outcome = {True: "done", False: answer.get("code"), None: "queued"}[answer["success"]]
    known = outcome != "unknown_action"  # a caller's text must not become a label of a metric
    DECISIONS.labels(action if known else "unknown", "rehearsed" if order.dry_run else outcome).inc()
    if outcome != "done" or order.dry_run:
        log.info(
            "request_answered",
            batch_id=batch_id,
            action=action[:100],
            outcome=outcome,
            dry_run=order.dry_run,
            reason=answer.get("reason"),
            actor=order.actor,
        )
