"""Connections as they are shown: the circuit of each, the workers that can call it, and the batches that need it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, literal, select

from app.db import reading
from app.domain import transitions
from app.domain.connection.abilities import LINES, Abilities
from app.domain.connection.circuits import CircuitState
from app.domain.times import rfc3339
from app.models import Batch, Model, ReadyTarget
from app.services.connection import circuits, waiting
from app.services.connection.circuits import CircuitRow
from app.services.connection.present_workers import PresentWorker, known_abilities, present_workers

MOST_BATCHES = 20  # ids shown with a connection
Key = tuple[str, str | None]  # connection and model

_unfinished = (Batch.archived_at.is_(None), Batch.state.in_(transitions.UNFINISHED))
_MODELS = select(Model.batch_id, Model.connection, Model.model).join(Batch, Batch.id == Model.batch_id)
_LINES = select(ReadyTarget.batch_id, literal(LINES), ReadyTarget.model).join(Batch, Batch.id == ReadyTarget.batch_id)
_NEEDED = _MODELS.where(*_unfinished).union(_LINES.where(*_unfinished))


class Connections:
    """Reads connections."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, limit: int = 50, after: int = 0) -> tuple[list[dict[str, Any]], int | None]:
        """Give a page of the connections after the first `after` of them, and the cursor of the next page, or None."""
        rows = self.all()
        return rows[after : after + limit], after + limit if len(rows) > after + limit else None

    def all(self) -> list[dict[str, Any]]:
        """List all connections by name."""
        with reading(self._engine) as connection:
            return shown(connection)

    def states(self) -> list[tuple[str, str, str]]:
        """List the connections by name, each with its model (empty: all its models) and the state of its circuit."""
        return [(each["connection"], each["model"] or "", each["state"]) for each in self.all()]

    def known_abilities(self) -> list[Abilities]:
        """List what the workers of the last seven days can do."""
        with reading(self._engine) as connection:
            return known_abilities(connection)

    def models(self) -> dict[str, str]:
        """List the models that present workers name, each with the first of its connections, by name."""
        with reading(self._engine) as connection:
            workers = present_workers(connection)
        pairs = {pair for worker in workers for pair in worker.abilities.models}
        return {model: name for name, model in sorted(pairs, key=lambda pair: (pair[1], pair[0]), reverse=True)}

    def unserved_targets(self) -> int:
        """Count the targets of all batches whose tasks wait although no present worker can do them."""
        with reading(self._engine) as connection:
            return waiting.unserved_targets(connection)


def shown(connection: Connection, keys: Iterable[Key] | None = None) -> list[dict[str, Any]]:
    """Show the connections that present workers announced, that batches need, or that have a circuit; by name.

    With `keys`, those alone, in that order; a connection without a circuit is shown as open.
    """
    known = {(row.connection, row.model): row for row in circuits.known(connection)}
    workers, needed = present_workers(connection), _needed(connection)
    if keys is None:
        names = {name for worker in workers for name in worker.abilities.connections} | {each[0] for each in needed}
        keys = sorted({*known, *((name, None) for name in names)}, key=lambda key: (key[0], key[1] or ""))
    return [_view(key, known.get(key), workers, needed) for key in keys]


def _needed(connection: Connection) -> dict[Key, list[int]]:
    """List the unfinished batches by what they need: a model of a connection, or ready-made lines of a model."""
    found: defaultdict[Key, list[int]] = defaultdict(list)
    for batch_id, name, model in connection.execute(_NEEDED):
        found[name, model].append(batch_id)
    return found


def _view(
    key: Key, row: CircuitRow | None, workers: Sequence[PresentWorker], needed: dict[Key, list[int]]
) -> dict[str, Any]:
    batches = {
        each for other, ids in needed.items() if other[0] == key[0] and key[1] in (None, other[1]) for each in ids
    }
    return {
        "connection": key[0],
        "model": key[1],
        "state": row.state if row else CircuitState.OPEN,
        "class": row.error_class if row else None,
        "reason": row.reason if row else None,
        "since": rfc3339(row.since) if row else None,
        "next_try_at": rfc3339(row.next_try_at) if row else None,
        "failures": row.failures if row else 0,
        "reported_by": row.reported_by if row else None,
        "workers": [each.name for each in workers if each.abilities.reaches(*key)],
        "batches": sorted(batches)[:MOST_BATCHES],
    }
