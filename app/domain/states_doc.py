"""docs/states.md, written from the table: `python -m app.domain.states_doc > docs/states.md`."""

import sys
from collections.abc import Iterable, Sequence

from app.domain import failures, transitions
from app.domain.diagram import as_mermaid, rule
from app.domain.facts import Counts, Facts
from app.domain.state_traits import ENDS_OF_RUN, leased_kinds, reported_kinds
from app.domain.transitions import ADD_DOCUMENTS, ARCHIVE, CREATE, INITIAL, RENAME, REPLACE_DOCUMENT, TABLE, BatchState

EXAMPLE = Facts(analysis=Counts(failed=3), max_failed_tasks=2, idle_seconds=3601.0)  # fills in the messages

PAGE = """\
# The states of a batch

<!-- Written by `python -m app.domain.states_doc > docs/states.md`, and the picture by
`python -m app.domain.picture > docs/states.svg`; a test keeps both equal to the code. Do not edit them. -->

![The state machine: {count} states, with the actions and events between them](states.svg)

A batch begins in {initial}. An **action** is asked for by a person or program over HTTP; an **event** is raised by
the service itself from what workers reported, and is refused as an action. There is no other way from one
state to another.

## Transitions

{transitions}

Events are judged in the states they start from, and nowhere else: a batch whose last task finishes while it is
PAUSED stays PAUSED until it is resumed.

## Edits

An edit leaves the state as it is, raises the version by 1 and has its audit row like any change.

{edits}

## What entering a state does

{entering}

## Where work is handed out, and where reports count

A report counts in the batch's present run alone. Elsewhere it is refused, and its result kept beside the task.

{work}

## Why a batch is FAILED

`failure.code` and `failure.message` of the batch, by precedence within each event.

{failures}

## The same for Mermaid

```mermaid
{mermaid}```
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _names(words: Iterable[str]) -> str:
    return ", ".join(words) or "-"


def _transitions() -> str:
    rows = ((f"`{t.trigger}`", t.kind, _names(t.sources), t.target, rule(t) or "-", t.meaning) for t in TABLE)
    return _table(("trigger", "kind", "from", "to", "only if", "meaning"), rows)


def _edits() -> str:
    rows = [(f"`{CREATE}`", f"none; the batch is {INITIAL} from then on")]
    rows += [(f"`{edit.trigger}`", _names(edit.sources)) for edit in (ADD_DOCUMENTS, REPLACE_DOCUMENT, RENAME, ARCHIVE)]
    return _table(("edit", "while the batch is"), rows)


def _effects(state: BatchState) -> str:
    effects = []
    if state in transitions.BEGINS_RUN:
        effects.append("begins the next run: `run` + 1")
    if state in transitions.CLEARS_OUTCOME:
        times = dict.fromkeys(transitions.ENTRY_TIMES.values())
        effects.append("clears " + ", ".join(f"`{name}`" for name in ("failure", *times)))
    if time := transitions.ENTRY_TIMES.get(state):
        effects.append(f"sets `{time}`" + ("" if state in ENDS_OF_RUN else " if the run has none yet"))
    return "; ".join(effects) or "nothing but the state"


def _work() -> str:
    rows = ((s, _names(leased_kinds(s)), _names(reported_kinds(s))) for s in BatchState)
    return _table(("state", "tasks leased", "reports that count"), rows)


def _failures() -> str:
    rows = ((f"`{code}`", text.format(facts=EXAMPLE)) for code, text in failures.MESSAGES.items())
    return _table(("code", "message (with example numbers)"), rows)


def states_doc() -> str:
    """Write the whole page as Markdown."""
    return PAGE.format(
        count=len(BatchState),
        initial=INITIAL,
        transitions=_transitions(),
        edits=_edits(),
        entering=_table(("state", "effect"), ((s, _effects(s)) for s in BatchState)),
        work=_work(),
        failures=_failures(),
        mermaid=as_mermaid(),
    )


if __name__ == "__main__":
    sys.stdout.write(states_doc())
