"""Which answers of earlier runs a new run reuses: the keys `reuse` and `redo` in a context of `stage` or `restage`.

`{"reuse": "none"}` repeats every task. `{"redo": {"models": [...], "prompts": [...], "status": [...]}}` repeats those
that match every given list. With neither key, every task that has an answer reuses it.

`{"redo": {"causes": [...]}}` repeats the failed tasks of these causes (app.domain.causes), and no other failed task:
those stay failed, without a call.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from app.domain.leases import TaskStatus
from app.errors import Invalid

NONE = "none"
MOST_NAMED = 20  # names in a refusal
MOST_CAUSES = 100


@dataclass(frozen=True)
class Redo:
    """The tasks that are repeated although they have an answer; a list that is None matches every task."""

    models: frozenset[str] | None = None
    prompts: frozenset[str] | None = None
    status: frozenset[str] | None = None
    causes: frozenset[str] | None = None  # keys

    def takes(self, prompt: str, connection: str, model: str) -> bool:
        """Check whether the tasks of a prompt and a model are repeated, apart from their status."""
        of_model = self.models is None or not self.models.isdisjoint((model, f"{connection}/{model}"))
        return of_model and (self.prompts is None or prompt in self.prompts)


_LISTS = tuple(Redo.__dataclass_fields__)


def parse(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read `reuse` and `redo` of a context, as the batch's row keeps them; None reuses all. Raises Invalid."""
    reuse, redo = context.get("reuse"), context.get("redo")
    if reuse is not None and reuse != NONE:
        _refuse("reuse", f'has to be "{NONE}" or absent')
    if redo is None:
        return None if reuse is None else {"reuse": NONE}
    if reuse is not None:
        _refuse("redo", f'cannot be combined with reuse "{NONE}", which repeats every task')
    if not isinstance(redo, Mapping):
        _refuse("redo", "has to be an object")
    if unknown := sorted(str(name) for name in set(redo) - set(_LISTS)):
        _refuse("redo", "is unknown", unknown[0])
    if not redo:
        _refuse("redo", f"has to have at least one of {', '.join(_LISTS)}")
    for name, value in redo.items():
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            _refuse("redo", "has to be a list of strings that is not empty", name)
    _check_names("status", redo.get("status"), list(TaskStatus))
    if len(redo.get("causes", ())) > MOST_CAUSES:
        _refuse("redo", f"can have at most {MOST_CAUSES} causes", "causes")
    return {"redo": dict(redo)}


def check(redo: Redo | None, prompts: Iterable[str], models: Iterable[tuple[str, str]]) -> None:
    """Check that a batch has the named prompts and models (pairs of connection and model). Raises Invalid."""
    if redo:
        known = {name for connection, model in models for name in (model, f"{connection}/{model}")}
        _check_names("models", redo.models, known)
        _check_names("prompts", redo.prompts, set(prompts))


def check_causes(redo: Redo | None, known: Collection[str]) -> None:
    """Check that the present run has failed tasks of the named causes. Raises Invalid."""
    if redo:
        _check_names("causes", redo.causes, known)


def redo_of(column: Mapping[str, Any] | None) -> Redo | None:
    """Read the column `reuse` of a batch: the tasks that its run repeats, or None if it reuses all."""
    if column is None:
        return None
    lists = column.get("redo") or {}
    return Redo(**{name: frozenset(lists[name]) for name in _LISTS if name in lists})


def _check_names(name: str, given: Collection[str] | None, known: Collection[str]) -> None:
    if unknown := sorted(set(given or ()) - set(known)):
        there = ", ".join(sorted(known)[:MOST_NAMED]) or "none"
        _refuse("redo", f"has the unknown name {unknown[0]!r}; the known names are: {there}", name)


def _refuse(field: str, what: str, within: str | None = None) -> NoReturn:
    path = f"context.{field}" + ("" if within is None else f".{within}" if within in _LISTS else f": {within!r}")
    errors = {"context": {field: [what] if within is None else {within: [what]}}}
    raise Invalid(f"{path} {what}.", errors=errors)
