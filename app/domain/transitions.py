"""The transition table: every state of a batch, and every transition between them.

This is the only place for these rules. Guards, database constraints and triggers, buttons, diagrams, API enums, docs
and tests are derived from `TABLE`, which is validated when it is imported. This module does not use the web, the
database, the clock or the environment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from app.domain import guards
from app.domain.facts import Facts
from app.errors import GuardRefused, StateRefused, UnknownAction


class BatchState(StrEnum):
    SAVED = "SAVED"
    STAGING = "STAGING"
    STAGED = "STAGED"
    ANALYZING = "ANALYZING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Kind(StrEnum):
    """Who makes a change: a caller requests an action, BatchService raises an event, a caller makes an edit."""

    ACTION = "action"
    EVENT = "event"
    EDIT = "edit"


@dataclass(frozen=True)
class Transition:
    """One trigger: it leads from any of `sources` to `target`, if `guard` has no objection."""

    trigger: str
    kind: Kind
    sources: tuple[BatchState, ...]
    target: BatchState
    guard: guards.Guard
    meaning: str


INITIAL = BatchState.SAVED
SAVED, STAGING, STAGED, ANALYZING, PAUSED, COMPLETED, FAILED = BatchState
ACTION, EVENT, EDIT = Kind

# In the order of a batch's life. A guard is a function of counted facts; its docstring is its rule.
TABLE: tuple[Transition, ...] = (
    Transition("stage", ACTION, (SAVED,), STAGING, guards.has_work, "read the documents and make the tasks"),
    Transition("staging_completed", EVENT, (STAGING,), STAGED, guards.staging_is_done, "every document is staged"),
    Transition("staging_failed", EVENT, (STAGING,), FAILED, guards.staging_is_broken, "staging cannot succeed"),
    Transition("run", ACTION, (STAGED,), ANALYZING, guards.always, "hand the tasks to the workers"),
    Transition(
        "pause",
        ACTION,
        (ANALYZING,),
        PAUSED,
        guards.has_active_tasks,
        "lease no more tasks; tasks in flight may finish",
    ),
    Transition("resume", ACTION, (PAUSED,), ANALYZING, guards.always, "lease tasks again"),
    Transition("cancel", ACTION, (ANALYZING, PAUSED), FAILED, guards.always, "end the run as FAILED"),
    Transition("tasks_finished", EVENT, (ANALYZING,), COMPLETED, guards.run_is_done, "every task has ended"),
    Transition("critical_error", EVENT, (ANALYZING,), FAILED, guards.run_is_broken, "the run cannot succeed"),
    Transition("restage", ACTION, (COMPLETED, FAILED), STAGING, guards.always, "begin the next run, or retry"),
    Transition("reset", ACTION, (SAVED, COMPLETED, FAILED), SAVED, guards.always, "make the batch editable again"),
)


@dataclass(frozen=True)
class Edit:
    """A change that leaves the state as it is, and the states in which it may be made."""

    trigger: str
    sources: tuple[BatchState, ...]


CREATE = "create"
ADD_DOCUMENTS = Edit("add_documents", (SAVED,))
REPLACE_DOCUMENT = Edit("replace_document", (SAVED,))
REPLACE_INPUT = Edit("replace_input", (SAVED,))
READ_INPUT = Edit("read_input", (STAGING,))
RENAME = Edit("rename", tuple(BatchState))
ERASE_DOCUMENT = Edit("erase_document", tuple(BatchState))
ERASE_RUNS = Edit("erase_runs", (SAVED, COMPLETED, FAILED))
ARCHIVE = Edit("archive", (SAVED, COMPLETED, FAILED))
PURGE = Edit("purge", ARCHIVE.sources)  # of a batch that is archived
EDITS = (ADD_DOCUMENTS, REPLACE_DOCUMENT, REPLACE_INPUT, ERASE_DOCUMENT, READ_INPUT, RENAME, ERASE_RUNS, ARCHIVE, PURGE)

# The time that a batch gets when it enters a state. `started_at` is the first entry of a run: resume keeps it.
ENTRY_TIMES = {STAGED: "staged_at", ANALYZING: "started_at", COMPLETED: "finished_at", FAILED: "finished_at"}
BEGINS_RUN = frozenset({STAGING})  # entering it begins the next run
CLEARS_OUTCOME = frozenset({STAGING, SAVED})  # entering it clears failure and times

# The states in which tasks are leased, and those in which their reports count, by kind of task.
LEASES_IN = {"STAGE": frozenset({STAGING}), "ANALYZE": frozenset({ANALYZING})}
REPORTS_IN = {"STAGE": frozenset({STAGING}), "ANALYZE": frozenset({ANALYZING, PAUSED})}
UNFINISHED = (STAGING, STAGED, ANALYZING, PAUSED)  # a run has begun and has not ended
AT_WORK = tuple(sorted(set().union(*LEASES_IN.values())))  # tasks are leased
NEEDS_AN_OPERATOR = (PAUSED, FAILED)  # it goes on when an operator decides what next
ENDS_OF_RUN = tuple(state for state in BatchState if ENTRY_TIMES.get(state) == "finished_at")


class TableError(ValueError):
    """The table is inconsistent; the service does not start with it."""


def validate(table: Iterable[Transition]) -> dict[str, Transition]:
    """Index the table by trigger. Raises TableError for duplicate triggers and for unknown or unreachable states."""
    by_trigger: dict[str, Transition] = {}
    for row in table:
        if row.trigger in by_trigger:
            raise TableError(f"trigger {row.trigger!r} occurs twice")
        if row.kind not in (ACTION, EVENT):
            raise TableError(f"trigger {row.trigger!r} is neither action nor event")
        unknown = [s for s in (*row.sources, row.target) if s not in set(BatchState)]
        if unknown:
            raise TableError(f"trigger {row.trigger!r} names unknown states: {unknown}")
        if not row.sources or len(set(row.sources)) != len(row.sources):
            raise TableError(f"trigger {row.trigger!r} has no source state, or has one twice")
        by_trigger[row.trigger] = row
    reached = {INITIAL}
    while grown := {t.target for t in by_trigger.values() if reached & set(t.sources)} - reached:
        reached |= grown
    if missing := set(BatchState) - reached:
        raise TableError(f"no transition leads to {sorted(missing)}")
    return by_trigger


BY_TRIGGER = validate(TABLE)
ACTIONS = tuple(t.trigger for t in TABLE if t.kind is ACTION)
EVENTS = tuple(t.trigger for t in TABLE if t.kind is EVENT)
TRIGGERS = (*ACTIONS, *EVENTS, CREATE, *(edit.trigger for edit in EDITS))  # of audit rows
_FROM = {(kind, s): [t for t in TABLE if t.kind is kind and s in t.sources] for kind in Kind for s in BatchState}
LEGAL_PAIRS = tuple(dict.fromkeys((source, t.target) for t in TABLE for source in t.sources))


def resolve(trigger: str, state: BatchState, kind: Kind = ACTION) -> Transition:
    """Find the transition that `trigger` makes from `state`.

    Raises UnknownAction if no trigger of this kind has that name, StateRefused if it does not start from `state`.
    """
    row = BY_TRIGGER.get(trigger)
    if row is None or row.kind is not kind:
        raise UnknownAction(trigger, ACTIONS, is_event=trigger in EVENTS)
    if state not in row.sources:
        raise StateRefused(trigger, state, row.sources)
    return row


def decide(trigger: str, state: BatchState, facts: Facts, kind: Kind = ACTION) -> Transition:
    """Find the transition as `resolve` does, and check its guard. Also raises GuardRefused, with the objection."""
    row = resolve(trigger, state, kind)
    if objection := row.guard(facts):
        raise GuardRefused(trigger, state, objection)
    return row


def can(trigger: str, state: BatchState, facts: Facts) -> tuple[bool, str]:
    """Check whether an action is allowed now: True and '', or False and the reason."""
    try:
        decide(trigger, state, facts)
    except (UnknownAction, StateRefused, GuardRefused) as refusal:
        return False, refusal.detail
    return True, ""


def due(state: BatchState, facts: Facts) -> Transition | None:
    """Find the event that is due in `state` with these facts, or None."""
    return next((t for t in _FROM[EVENT, state] if t.guard(facts) is None), None)


def allowed(state: BatchState, facts: Facts) -> list[str]:
    """List the actions that are allowed now, in the table's order."""
    return [t.trigger for t in _FROM[ACTION, state] if t.guard(facts) is None]


def main_way(state: BatchState) -> list[BatchState]:
    """List the states on the shortest way to the end of a run, and `state` at its place among them.

    The end is that of a run that succeeds, or `state` if it is another end.
    """
    ways = {INITIAL: [INITIAL]}
    for source, target in LEGAL_PAIRS * len(BatchState):
        if source in ways and target not in ways:
            ways[target] = [*ways[source], target]
    end = state if state in ENDS_OF_RUN else ENDS_OF_RUN[0]
    way = {*ways[ENDS_OF_RUN[0]]} - {*ENDS_OF_RUN} | {state, end}
    return [each for each in BatchState if each in way]


def leased_kinds(state: BatchState) -> list[str]:
    """List the kinds of task that are leased while a batch is in `state`."""
    return [kind for kind, states in LEASES_IN.items() if state in states]


def reported_kinds(state: BatchState) -> list[str]:
    """List the kinds of task whose reports count while a batch is in `state`."""
    return [kind for kind, states in REPORTS_IN.items() if state in states]
