"""What one call of a model costs: as the answers of the batch did, else as those of earlier batches did.

A price is in nanos. Prices of earlier batches are for each token of input, with the cost of the answers.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

from sqlalchemy import Connection, Float, Integer, case, cast, func, select

from app import db
from app.domain.documents import PLAIN_TYPES, OnTooLong, PromptInput
from app.domain.estimates import Template, Texts, all_tokens
from app.domain.leases import TaskKind, TaskStatus
from app.models import Batch, Document, Model, Prompt, Task, UsageCounts

NEWEST_BATCHES = 100
MOST_MODELS = 50

_usage = db.table_of(UsageCounts)
_newest = select(Batch.id).where(Batch.archived_at.is_(None)).order_by(Batch.id.desc()).limit(NEWEST_BATCHES)
_of_batch = (
    select(
        _usage.c.batch_id,
        _usage.c.model_number,
        cast(func.sum(_usage.c.input_tokens), Float).label("input_tokens"),
        cast(func.sum(_usage.c.cost_nanos), Float).label("cost_nanos"),
    )
    .where(_usage.c.batch_id.in_(_newest))
    .group_by(_usage.c.batch_id, _usage.c.model_number)
    .subquery()
)
_paid = (_of_batch.c.cost_nanos > 0) & (_of_batch.c.input_tokens > 0)
_a_token: Any = case((_paid, _of_batch.c.cost_nanos / _of_batch.c.input_tokens))
_KNOWN = (
    select(
        Model.connection,
        Model.model,
        func.max(Model.batch_id).label("newest"),
        func.sum(case((_paid, _of_batch.c.input_tokens))).label("input_tokens"),
        func.sum(case((_paid, _of_batch.c.cost_nanos))).label("cost_nanos"),
        func.min(_a_token).label("low"),
        func.max(_a_token).label("high"),
    )
    .join(
        _of_batch,
        (_of_batch.c.batch_id == Model.batch_id) & (_of_batch.c.model_number == Model.number),
        isouter=True,
    )
    .where(Model.batch_id.in_(_newest))
    .group_by(Model.connection, Model.model)
    .order_by(func.max(Model.batch_id).desc(), Model.connection, Model.model)
)


_IS_TEXT = Document.media_type.like("text/%") | Document.media_type.in_(sorted(PLAIN_TYPES))


class Price(NamedTuple):
    """What a call, or a token of input, costs in nanos: the mean of `answers` of them, and how much they differ."""

    mean: float
    low: float
    high: float
    spread: float = 0.0  # the standard deviation of a call
    answers: int = 0

    def times(self, amount: float) -> "Price":
        """Price a number of calls, or of tokens."""
        margin = 2 * self.spread * sqrt(amount * (1 + amount / self.answers)) if self.answers else 0.0
        low, high = amount * self.low - margin, amount * self.high + margin
        return Price(amount * self.mean, max(0.0, low), high)


def exactly(nanos: float) -> Price:
    """Make a price of which no range is known."""
    return Price(nanos, nanos, nanos)


def sum_of(prices: Sequence[Price]) -> Price:
    """Add prices up."""
    return Price(sum(p.mean for p in prices), sum(p.low for p in prices), sum(p.high for p in prices))


def known_models(connection: Connection) -> list[tuple[str, str, Price | None]]:
    """List the models of the newest batches, last used first, with the price of a token of input.

    The price is None where no call had a cost.
    """
    return [
        (row.connection, row.model, Price(row.cost_nanos / row.input_tokens, row.low, row.high) if row.low else None)
        for row in connection.execute(_KNOWN.limit(MOST_MODELS))
    ]


def of_answers(connection: Connection, batch_id: int) -> dict[int | None, Price]:
    """Price a call by the batch's own answers, by the number of the model; None stands for ready-made tasks."""
    return {
        row.model_number: Price(row.mean, row.mean, row.mean, sqrt(max(0.0, row.square - row.mean**2)), row.answers)
        for row in connection.execute(_answers(batch_id))
    }


def of_earlier_batches(connection: Connection, batch_id: int) -> dict[int | None, Price]:
    """Price a call by earlier batches: a token with the model, and as many tokens as the batch's texts have."""
    models = select(Model.number, Model.connection, Model.model).where(Model.batch_id == batch_id)
    tokens = _tokens_of_a_call(connection, batch_id)
    prices = {(name, model): price for name, model, price in known_models(connection)} if tokens else {}
    found = {row.number: prices.get((row.connection, row.model)) for row in connection.execute(models)}
    return {number: price.times(tokens) for number, price in found.items() if price is not None}


def _tokens_of_a_call(connection: Connection, batch_id: int) -> float:
    """Estimate the tokens of a call; 0 if prompts get texts and no document is a text whose size is known."""
    texts = texts_of(connection, batch_id)
    rows = connection.execute(select(Prompt.text, Prompt.system, Prompt.input).where(Prompt.batch_id == batch_id))
    prompts = [Template(*row) for row in rows]
    documents = texts.count or 1
    of_text = sum(prompt.input == PromptInput.TEXT for prompt in prompts)
    calls = documents * len(prompts) + texts.parts * of_text
    return all_tokens(texts, documents, prompts, 1) / calls if calls else 0.0


def texts_of(connection: Connection, batch_id: int) -> Texts:
    """Count the texts of a batch, their bytes, and the parts into which they are split."""
    return Texts(*(int(each or 0) for each in connection.execute(_texts(batch_id)).one()))


def more_parts() -> Any:
    """Select how many calls more than one a prompt makes about a document, joined with its batch: by its size."""
    step = Batch.part_characters - Batch.overlap_characters
    over = Document.size_bytes - Batch.part_characters
    is_split = (Batch.on_too_long == OnTooLong.SPLIT) & _IS_TEXT & (over > 0)
    return case((is_split, (over + step - 1) // step), else_=0)


def _texts(batch_id: int) -> Any:
    parts = more_parts()
    characters = Document.size_bytes + parts * Batch.overlap_characters
    return (
        select(func.count(), func.sum(characters), func.sum(parts))
        .select_from(Document)
        .join(Batch, Batch.id == Document.batch_id)
        .where(Document.batch_id == batch_id, Document.run.is_(None), Document.folder.is_(None), _IS_TEXT)
    )


def _answers(batch_id: int) -> Any:
    # A copy of an earlier answer has cost nothing: counting it would make the other answers look cheaper.
    nanos = cast(Task.cost_nanos, Float)
    return (
        select(
            Task.model_number,
            func.count().cast(Integer).label("answers"),
            func.avg(nanos).label("mean"),
            func.avg(nanos * nanos).label("square"),
        )
        .where(
            Task.batch_id == batch_id,
            Task.kind == TaskKind.ANALYZE,
            Task.status == TaskStatus.COMPLETED,
            Task.reused_from.is_(None),
        )
        .group_by(Task.model_number)
    )
