"""What a new run does again, and what it takes from the runs before it: the context of `stage` and `restage`.

`{"reuse": "none"}` does all again, `{"redo": {"models": [...], "prompts": [...], "status": [...]}}` a part: the tasks
that match every list that is given. Nothing said, nothing is done again that has an answer.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from app.domain.leases import TaskStatus
from app.errors import Invalid

NONE = "none"
MOST_NAMED = 20  # names in a refusal


@dataclass(frozen=True)
class Redo:
    """What is done again though it has an answer; a list that is None asks for nothing."""

    models: frozenset[str] | None = None
    prompts: frozenset[str] | None = None
    status: frozenset[str] | None = None

    def takes(self, prompt: str, connection: str, model: str) -> bool:
        """Say whether the tasks of a prompt with a model are done again, their status aside."""
        of_model = self.models is None or not self.models.isdisjoint((model, f"{connection}/{model}"))
        return of_model and (self.prompts is None or prompt in self.prompts)


_LISTS = tuple(Redo.__dataclass_fields__)


def said(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read what a context says of reuse, as it is kept for the run; None is to reuse all. Raises Invalid."""
    reuse, redo = context.get("reuse"), context.get("redo")
    if reuse is not None and reuse != NONE:
        _refuse("reuse", f'has to be "{NONE}", or not there')
    if redo is None:
        return None if reuse is None else {"reuse": NONE}
    if reuse is not None:
        _refuse("redo", f'does not go with reuse "{NONE}", which does all again')
    if not isinstance(redo, Mapping):
        _refuse("redo", "is not an object")
    if unknown := sorted(str(name) for name in set(redo) - set(_LISTS)):
        _refuse("redo", "is not known here", unknown[0])
    if not redo:
        _refuse("redo", f"has to hold {', '.join(_LISTS)}, or some of them")
    for name, value in redo.items():
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            _refuse("redo", "has to be a list of texts, and not an empty one", name)
    _check_names("status", redo.get("status"), list(TaskStatus))
    return {"redo": dict(redo)}


def check(redo: Redo | None, prompts: Iterable[str], models: Iterable[tuple[str, str]]) -> None:
    """Refuse names that a batch does not have; `models` are pairs of connection and model. Raises Invalid."""
    if redo:
        known = {name for connection, model in models for name in (model, f"{connection}/{model}")}
        _check_names("models", redo.models, known)
        _check_names("prompts", redo.prompts, set(prompts))


def redo_of(kept: Mapping[str, Any] | None) -> Redo | None:
    """Read what is kept for a run: what it does again, or None where it reuses all."""
    if kept is None:
        return None
    lists = kept.get("redo") or {}
    return Redo(**{name: frozenset(lists[name]) for name in _LISTS if name in lists})


def _check_names(name: str, given: Collection[str] | None, known: Collection[str]) -> None:
    if unknown := sorted(set(given or ()) - set(known)):
        there = ", ".join(sorted(known)[:MOST_NAMED]) or "none"
        _refuse("redo", f"does not know {unknown[0]!r}; there is: {there}", name)


def _refuse(field: str, what: str, within: str | None = None) -> NoReturn:
    path = f"context.{field}" + ("" if within is None else f".{within}" if within in _LISTS else f": {within!r}")
    errors = {"context": {field: [what] if within is None else {within: [what]}}}
    raise Invalid(f"{path} {what}.", errors=errors)
