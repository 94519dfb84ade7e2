"""The pages of tasks: the list of a batch, filtered and in pages, and one task whole."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from flask import Blueprint, render_template, request

from app.domain.answer.answers import answer_of
from app.domain.attempts import code_of
from app.domain.leases import TaskKind, TaskStatus
from app.domain.roles import READERS
from app.domain.times import time_of
from app.errors import Invalid
from app.services.reads.task_walk import Wanted
from app.ui.access import page
from app.ui.batch.overview import of_batch
from app.ui.filters import runs_of
from app.ui.query import number
from app.ui.results.markdown import rendered
from app.web.services import services

routes = Blueprint("ui_tasks", __name__)
A_PAGE = 50
# What is not kept of a report that came too late.
_UNKNOWN = {"is_late": True, "worker": None, "latency_ms": None, "input_tokens": 0, "output_tokens": 0, "cost": None}
LONGEST_SHOWN = 100_000  # characters of a text on a page; the download and the API have the whole text
Choice = TypeVar("Choice", bound=StrEnum)


@page(routes, "GET", "/batches/<ident:batch_id>/tasks", roles=READERS)
def tasks(batch_id: int) -> str:
    """List the tasks of a run, by kind, status and error code. Without a kind, those that call a model."""
    code = request.args.get("code") or None
    wanted = Wanted(
        run=run_in_query(),
        kind=_choice(TaskKind, "kind") if "kind" in request.args else TaskKind.ANALYZE,
        status=TaskStatus.FAILED if code else _choice(TaskStatus, "status"),
        code=code,
    )
    cursor = request.args.get("cursor") or None
    reads = services().reads.tasks
    found = reads.page(batch_id, wanted, A_PAGE, cursor)
    counts = reads.counts(batch_id, found.run)
    kinds = [wanted.kind] if wanted.kind else list(TaskKind)
    return render_template(
        "tasks/list.html",
        **of_batch(batch_id, "tasks"),
        run=found.run,
        runs=runs_of(found.batch),
        wanted=wanted,
        kinds=list(TaskKind),
        counts={status: sum(counts[kind][status] for kind in kinds) for status in TaskStatus},
        tasks=found.tasks,
        late_outcomes=found.late_outcomes,
        next_cursor=found.next_cursor,
        is_first=cursor is None,
    )


@page(routes, "GET", "/batches/<ident:batch_id>/tasks/<string(maxlength=64):task_id>", roles=READERS)
def task(batch_id: int, task_id: str) -> str:
    """Show one task: what is sent, the answer, what the call used, and the late results."""
    found = services().reads.tasks.with_payload(batch_id, task_id)
    payload, task = found["payload"], found["task"]
    answer = answer_of(task["result"], in_json="schema" in payload)
    return render_template(
        "tasks/task.html",
        **of_batch(batch_id, "tasks"),
        run=task["run"],
        task=task,
        answer=answer,
        html=rendered(answer) if isinstance(answer, str) else None,
        messages=messages_of(payload),
        payload={name: value for name, value in payload.items() if name not in ("messages", "text", "schema")},
        schema=payload.get("schema"),
        text=payload.get("text"),
        shown=shown,
        timeline=timeline_of(task),
    )


def run_in_query() -> int | None:
    """Read the run in the address; None is the present one. Raises Invalid."""
    return number("run", most_digits=8)


def timeline_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    """List the ended attempts of a task, and its reports that came too late, in the order of their times."""
    late = [{**_UNKNOWN, **each, "code": code_of(each["error"])} for each in task["late_results"]]
    ended = [{**each, "is_late": False} for each in task["attempts"]]
    return sorted([*ended, *late], key=lambda each: time_of(each["at"]) or datetime.max.replace(tzinfo=UTC))


def messages_of(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Find the chat messages in a payload: its own, or those in the body of a ready-made line."""
    body = payload.get("body")
    found = payload.get("messages") or (body.get("messages") if isinstance(body, dict) else None)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def shown(value: Any) -> str:
    """Write a value for reading: text as it is, anything else as indented JSON. A very long one is cut, and says so."""
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    more = len(text) - LONGEST_SHOWN
    return f"{text[:LONGEST_SHOWN]}\n... and {more:,} characters more" if more > 0 else text


def _choice(of: type[Choice], name: str) -> Choice | None:
    value = request.args.get(name) or None
    if value is not None and value not in list(of):
        raise Invalid(f"{name} is one of: {', '.join(of)}.", errors={name: ["is unknown"]})
    return of(value) if value is not None else None
