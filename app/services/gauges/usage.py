"""What calls used, by connection and model: counters that no process keeps, since they are sums of the database."""

import threading
import time

from sqlalchemy import Connection, func, select

from app import db
from app.domain.money import cost
from app.metrics import Family, Sample
from app.models import Model, UsageCounts

KEPT_SECONDS = 60.0  # the sums are read once a minute: they are over all runs
MOST_MODELS = 500

_usage = db.table_of(UsageCounts)
_names = ("attempts", "failures", "input_tokens", "output_tokens", "cost_nanos")
_sums = [func.sum(_usage.c[name]).label(name) for name in _names]
_BY_MODEL = (
    select(
        func.coalesce(Model.connection, "").label("connection"), func.coalesce(Model.model, "").label("model"), *_sums
    )
    .select_from(_usage)
    .outerjoin(Model, (Model.batch_id == _usage.c.batch_id) & (Model.number == _usage.c.model_number))
    .group_by(Model.connection, Model.model)
    .order_by(func.sum(_usage.c.attempts).desc())
    .limit(MOST_MODELS)
)
_LABELS = ("connection", "model")


class UsageByModel:
    """Reads the sums of all runs; ready-made tasks have no connection and no model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._families: list[Family] = []

    def families(self, connection: Connection) -> list[Family]:
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at > KEPT_SECONDS:
                self._families = _read(connection)
                self._read_at = time.monotonic()
            return self._families


def _read(connection: Connection) -> list[Family]:
    rows = connection.execute(_BY_MODEL).all()
    keys = [(row.connection, row.model) for row in rows]
    tokens = [
        Sample((*key, direction), float(getattr(row, f"{direction}_tokens")))
        for key, row in zip(keys, rows, strict=True)
        for direction in ("input", "output")
    ]
    calls = [Sample(key, float(row.attempts)) for key, row in zip(keys, rows, strict=True)]
    failed = [Sample(key, float(row.failures)) for key, row in zip(keys, rows, strict=True)]
    costs = [Sample(key, cost(int(row.cost_nanos)) or 0.0) for key, row in zip(keys, rows, strict=True)]
    return [
        Family("interlock_tokens", "Tokens of calls", (*_LABELS, "direction"), tokens, is_counter=True),
        Family("interlock_cost", "Cost of calls, in the currency of the prices", _LABELS, costs, is_counter=True),
        Family("interlock_calls", "Reported calls", _LABELS, calls, is_counter=True),
        Family("interlock_failed_calls", "Reported calls that failed", _LABELS, failed, is_counter=True),
    ]
