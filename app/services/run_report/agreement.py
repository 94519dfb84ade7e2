"""How often the models of a batch agree, and their mean scores. Each answer of a run is read once, in portions.

The database cannot do this: answers are compared as readers see them, without regard to white space and case. Of a
document that is split, the answers to each part are compared for themselves.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, groupby, islice
from typing import Any, NamedTuple

from sqlalchemy import Engine, bindparam, select, tuple_

from app import portions
from app.db import reading
from app.domain.answer.answers import answer_of, fingerprint, has_score, score_of
from app.domain.leases import TaskStatus
from app.models import Task

PAGE = 500
MOST_PAIRS = 1_000  # a batch may have half a million, of its models and prompts

_cell = (Task.document_id, Task.prompt_number, Task.part, Task.model_number)
_ANSWERS = select(Task.id, *_cell, Task.result)
_SIZES = (
    select(Task.id, *_cell, portions.size_of(Task.result))
    .where(
        Task.batch_id == bindparam("batch_id"),
        Task.run == bindparam("run"),
        Task.prompt_number.is_not(None),  # so that the partial index of these tasks is used
        Task.prompt_number.in_(bindparam("prompts", expanding=True)),
        Task.status == TaskStatus.COMPLETED,
    )
    .order_by(*_cell)
    .limit(PAGE)
)


class Pair(NamedTuple):
    """Two models that answer one prompt, by their numbers."""

    prompt: int
    one: int
    other: int


class Agreement:
    """Compares and scores the answers of a run; `schemas` are those of the prompts, by their numbers."""

    def __init__(self, schemas: Mapping[int, Any], models: Sequence[int]) -> None:
        self.pairs = list(islice((Pair(p, *two) for p in schemas for two in combinations(models, 2)), MOST_PAIRS))
        self.pairs_left_out = len(schemas) * len(models) * (len(models) - 1) // 2 - len(self.pairs)
        self.compared: Counter[Pair] = Counter()
        self.agreed: Counter[Pair] = Counter()
        self._schemas = schemas
        self._scored = {prompt for prompt, schema in schemas.items() if has_score(schema)}
        self._pairs_of = {prompt: list(pairs) for prompt, pairs in groupby(self.pairs, lambda pair: pair.prompt)}
        self._scores: Counter[tuple[str, int]] = Counter()
        self._score_sums: Counter[tuple[str, int]] = Counter()

    def mean_score(self, noun: str, number: int) -> float | None:
        """Give the mean score of a `model` or a `prompt`, or None without scores."""
        amount = self._scores[noun, number]
        return self._score_sums[noun, number] / amount if amount else None

    def walk(self, engine: Engine, batch_id: int, run: int) -> None:
        """Read every answer of a run that is compared or has a score."""
        wanted = sorted(self._scored | set(self._pairs_of))
        if not wanted:
            return
        answers = _answers(engine, {"batch_id": batch_id, "run": run, "prompts": wanted})
        for (_, prompt, _), of_models in groupby(answers, lambda row: (row.document_id, row.prompt_number, row.part)):
            self._see(prompt, ((row.model_number, row.result) for row in of_models))

    def _see(self, prompt: int, results: Iterable[tuple[int, Any]]) -> None:
        in_json = self._schemas[prompt] is not None
        found: dict[int, bytes] = {}
        for model, result in results:
            answer = answer_of(result, in_json)
            if answer is not None:
                found[model] = fingerprint(answer, in_json)
            score = score_of(answer) if prompt in self._scored else None
            if score is not None:
                for of in (("model", model), ("prompt", prompt)):
                    self._scores[of] += 1
                    self._score_sums[of] += score  # type: ignore[assignment]
        for pair in self._pairs_of.get(prompt, ()):
            if pair.one in found and pair.other in found:
                self.compared[pair] += 1
                self.agreed[pair] += found[pair.one] == found[pair.other]


def _answers(engine: Engine, values: Mapping[str, Any]) -> Iterator[Any]:
    after: tuple[int, int, int, int] | None = (0, 0, 0, 0)
    while after is not None:
        with reading(engine) as connection:
            sized = connection.execute(_SIZES.where(tuple_(*_cell) > after), values).all()
        yield from portions.read(engine, sized, _ANSWERS)
        last = sized[-1] if len(sized) == PAGE else None
        after = (last.document_id, last.prompt_number, last.part, last.model_number) if last else None
