"""The spans of the service: what is recorded of decisions, leases and reports. Called only if the tracer is on."""

from collections.abc import Mapping
from typing import Any

from app.tracing.tracer import tracer

FIRST_VERSION = 1


def record_change(values: Mapping[str, Any], began_ns: int) -> None:
    """Record a change of a batch, by the values of its log line. The first one begins the batch's trace."""
    attributes = _named(values)
    attributes |= {"interlock.action": attributes.pop("interlock.trigger"), "interlock.allowed": True}
    is_first = values["version"] == FIRST_VERSION
    tracer().record(values["batch_id"], f"decision {values['trigger']}", began_ns, attributes, is_first)


def record_answer(values: Mapping[str, Any], answer: Mapping[str, Any], began_ns: int) -> None:
    """Record a request that changed nothing, by the values of its log line: it was refused, queued or a rehearsal."""
    attributes = {
        **_named(values),
        "interlock.version": answer.get("version"),
        "interlock.from_state": answer.get("previous_state") or answer.get("current_state"),
        "interlock.to_state": answer.get("new_state"),
        "interlock.allowed": answer["success"],
    }
    known = values["outcome"] != "unknown_action"  # a caller's text must not become the name of a span
    name = f"decision {values['action']}" if known else "decision"
    tracer().record(values["batch_id"], name, began_ns, attributes)


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"interlock.{name}": value for name, value in values.items()}


def record_leases(amounts: Mapping[int, int], worker: str, began_ns: int) -> None:
    """Record how many tasks of each batch a worker has leased."""
    for batch_id, amount in amounts.items():
        attributes: dict[str, Any] = {
            "interlock.batch_id": batch_id,
            "interlock.worker": worker,
            "interlock.tasks": amount,
        }
        tracer().record(batch_id, "lease", began_ns, attributes)


def record_reports(amounts: Mapping[tuple[int, str], int], began_ns: int) -> None:
    """Record how many reports of each batch came, by their outcomes."""
    for batch_id in {batch_id for batch_id, _ in amounts}:
        attributes: dict[str, Any] = {"interlock.batch_id": batch_id}
        attributes |= {f"interlock.{name}": amount for (each, name), amount in amounts.items() if each == batch_id}
        tracer().record(batch_id, "report", began_ns, attributes)
