"""The log, metrics and spans of decisions: one for each committed change, and for each request without a change."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

import structlog

from app.domain import limits
from app.domain.leases import Outcome
from app.metrics import CHANGES, DECISIONS, LIMIT_PAUSES, REPORTS, count_failure
from app.services.batch import breaker
from app.services.batch.changes import ChangeMade
from app.services.batch.orders import Answer, Order
from app.services.queue.reports import Report, Verdict
from app.tracing import spans
from app.tracing.tracer import tracer

log = structlog.get_logger()
# The counters of labels that were seen: `labels` takes longer than to count.
_changes, _decisions, _reports = cache(CHANGES.labels), cache(DECISIONS.labels), cache(REPORTS.labels)
for _name in limits.NAMES:  # from 0 on: Prometheus does not see the first increase of a counter that was not there
    LIMIT_PAUSES.labels(_name)


def log_changes(changes: Iterable[ChangeMade], began_ns: int) -> None:
    """Log the changes of a committed transaction, which began at `began_ns`."""
    for made in changes:
        _changes(made.change.trigger).inc()
        if made.change.order.actor == breaker.ACTOR:
            LIMIT_PAUSES.labels(made.change.order.context["limit"]).inc()
        values = {
            "batch_id": made.batch.id,
            "version": made.batch.version,
            "trigger": made.change.trigger,
            "from_state": made.from_state,
            "to_state": made.batch.state,
            "actor": made.change.order.actor,
            "reason": made.change.reason,
        }
        log.info("batch_changed", **values)
        if tracer().samples(made.batch.id):
            spans.record_change(values, began_ns)


def count_reports(judged: Sequence[tuple[Report, Verdict]], began_ns: int) -> None:
    """Count the reports of a transaction that began at `began_ns`, by outcome or as `refused`; failed ones by code."""
    for report, verdict in judged:
        if report.outcome is Outcome.FAILED and not verdict.refusal:
            count_failure(str((report.error or {}).get("code")))
    for outcome, amount in Counter(_outcome(report, verdict) for report, verdict in judged).items():
        _reports(outcome).inc(amount)
    if tracer().is_on:
        is_sampled = tracer().samples
        by_batch = (
            (v.batch_id, _outcome(report, v))
            for report, v in judged
            if v.batch_id is not None and is_sampled(v.batch_id)
        )
        spans.record_reports(Counter(by_batch), began_ns)


def _outcome(report: Report, verdict: Verdict) -> str:
    return "refused" if verdict.refusal else report.outcome


def log_answer(batch_id: int, action: str, order: Order, answer: Answer, began_ns: int) -> None:
    """Count the answer to a request; log it, unless it is a change: `log_changes` logs those."""
    outcome = {True: "done", False: answer.get("code"), None: "queued"}[answer["success"]]
    known = outcome != "unknown_action"  # a caller's text must not become a label of a metric
    _decisions(action if known else "unknown", "rehearsed" if order.dry_run else outcome).inc()
    if outcome != "done" or order.dry_run:
        values = {
            "batch_id": batch_id,
            "action": action[:100],
            "outcome": outcome,
            "dry_run": order.dry_run,
            "reason": answer.get("reason"),
            "actor": order.actor,
        }
        log.info("request_answered", **values)
        if tracer().samples(batch_id):
            spans.record_answer(values, answer, began_ns)
