"""The views of a batch: the JSON objects that callers and templates get, typed once and made of records.

app/api derives the OpenAPI schemas from these types. `Annotated` adds a keyword of JSON Schema and its value.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict

from app.domain import transitions
from app.domain.facts import Counts, Facts
from app.domain.money import cost
from app.domain.times import Time, rfc3339
from app.domain.transitions import ACTIONS, BatchState
from app.services.batch.batch_rows import BatchRecord
from app.services.connection.waiting import WaitingFor

UsageShares = Mapping[str, list[dict[str, Any]]]
Action = Annotated[str, ("enum", ACTIONS)]


class Failure(TypedDict):
    code: str
    message: str | None
    task_id: str | None


class StagingCounts(TypedDict):
    total: int
    completed: int
    failed: int
    skipped: int


class AnalysisCounts(TypedDict):
    total: int
    queued: int
    leased: int
    completed: int
    failed: int
    truncated: int


class Progress(TypedDict):
    staging: StagingCounts
    analysis: AnalysisCounts


class Usage(TypedDict):
    input_tokens: int
    output_tokens: int
    cost: float | None
    unpriced_calls: int  # calls whose cost is not known
    by_model: NotRequired[list[dict[str, Any]]]  # both only where one batch is shown in full
    by_prompt: NotRequired[list[dict[str, Any]]]


class Input(TypedDict):
    documents: int
    prompts: int
    models: int
    ready_tasks: int
    file_id: str | None  # of a batch that is made of a file


class Options(TypedDict):
    max_attempts: int
    lease_seconds: int
    max_failed_tasks: int | None
    priority: int
    staging_timeout_seconds: int
    max_cost: float | None
    max_tokens: int | None
    max_failure_rate: float | None
    keep_runs: int | None
    on_unreadable: str
    on_truncated: str
    on_too_long: str
    part_characters: int
    overlap_characters: int
    pause_after_outage_seconds: int | None
    auto_resume: bool
    deadline_at: Time | None  # as it is now: a pause moves it


class BatchView(TypedDict):
    id: int
    name: str
    description: str | None
    state: BatchState
    version: int
    run: int
    failure: Failure | None
    progress: Progress
    usage: Usage
    input: Input
    duplicates: NotRequired[list[dict[str, str]]]  # documents that a creation or edit left out
    options: Options
    waiting_for: NotRequired[list[WaitingFor]]  # only where one batch is shown in full
    allowed_actions: list[Action]
    created_at: Time
    updated_at: Time
    staged_at: Time | None
    started_at: Time | None
    finished_at: Time | None


def batch_view(batch: BatchRecord, facts: Facts, shares: UsageShares | None = None) -> BatchView:
    """Show a batch, its present run's progress, and the actions that are allowed now.

    `shares` adds what each model and each prompt has used.
    """
    usage = usage_view(facts.usage)
    if shares:
        usage |= {"by_model": shares["by_model"], "by_prompt": shares["by_prompt"]}
    return {
        "id": batch.id,
        "name": batch.name,
        "description": batch.description,
        "state": batch.state,
        "version": batch.version,
        "run": batch.run,
        "failure": failure_view(batch),
        "progress": {"staging": _staging(facts.staging), "analysis": _analysis(facts.analysis)},
        "usage": usage,
        "input": {
            "documents": batch.document_count,
            "prompts": batch.prompt_count,
            "models": batch.model_count,
            "ready_tasks": batch.ready_task_count,
            "file_id": batch.input_file_id,
        },
        "options": {
            "max_attempts": batch.max_attempts,
            "lease_seconds": batch.lease_seconds,
            "max_failed_tasks": batch.max_failed_tasks,
            "priority": batch.priority,
            "staging_timeout_seconds": batch.staging_timeout_seconds,
            "max_cost": cost(batch.max_cost_nanos),
            "max_tokens": batch.max_tokens,
            "max_failure_rate": batch.max_failure_rate,
            "keep_runs": batch.keep_runs,
            "on_unreadable": batch.on_unreadable,
            "on_truncated": batch.on_truncated,
            "on_too_long": batch.on_too_long,
            "part_characters": batch.part_characters,
            "overlap_characters": batch.overlap_characters,
            "pause_after_outage_seconds": batch.pause_after_outage_seconds,
            "auto_resume": batch.auto_resume,
            "deadline_at": rfc3339(facts.deadline_at),
        },
        "allowed_actions": transitions.allowed(batch.state, facts),
        "created_at": rfc3339(batch.created_at),
        "updated_at": rfc3339(batch.updated_at),
        "staged_at": rfc3339(batch.staged_at),
        "started_at": rfc3339(batch.started_at),
        "finished_at": rfc3339(batch.finished_at),
    }


def failure_view(batch: BatchRecord) -> Failure | None:
    """Show why a batch is FAILED; None for any other."""
    if batch.failure_code is None:
        return None
    task_id = None if batch.failure_task_id is None else str(batch.failure_task_id)
    return {"code": batch.failure_code, "message": batch.failure_message, "task_id": task_id}


def _staging(counts: Counts) -> StagingCounts:
    return {"total": counts.total, "completed": counts.completed, "failed": counts.failed, "skipped": counts.skipped}


def _analysis(counts: Counts) -> AnalysisCounts:
    return {
        "total": counts.total,
        "queued": counts.queued,
        "leased": counts.leased,
        "completed": counts.completed,
        "failed": counts.failed,
        "truncated": counts.truncated,
    }


def usage_view(usage: Any) -> Usage:
    """Show tokens and cost: of a domain Usage, or of a row with its columns."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": cost(usage.cost_nanos),
        "unpriced_calls": usage.unpriced,
    }


def effect_of(state: BatchState, target: BatchState, facts: Facts) -> dict[str, int | float | None]:
    """Count the tasks that a transition from `state` to `target` affects: the `effect` of a dry run."""
    stopped = in_flight = 0
    for kind, counts in (("STAGE", facts.staging), ("ANALYZE", facts.analysis)):
        if state in transitions.REPORTS_IN[kind]:
            in_flight += counts.leased
            stopped += 0 if target in transitions.LEASES_IN[kind] else counts.queued
    return {
        "tasks_stopped": stopped,
        "leases_in_flight": in_flight,
        "results_kept": facts.analysis.completed,
    }
