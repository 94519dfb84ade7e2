"""The models of earlier batches and what a token cost with them: what the form of a new batch offers and estimates."""

from typing import Any

from sqlalchemy import Engine

from app.db import reading
from app.domain.estimates import Texts
from app.domain.money import NANOS
from app.services.estimate.prices import known_models, texts_of


class KnownModels:
    """Reads the models of earlier batches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def texts_of(self, batch_id: int) -> Texts:
        """Count the texts of a batch and their bytes, for the estimate of another batch with them."""
        with reading(self._engine) as connection:
            return texts_of(connection, batch_id)

    def last_used(self) -> list[dict[str, Any]]:
        """List the models of the newest batches, last used first.

        `cost_a_token` is the whole cost of the calls, with that of the answers, for each token of input, and
        `cost_a_token_range` its least and its most in a batch; None where no call had a cost.
        """
        with reading(self._engine) as connection:
            return [
                {
                    "connection": name,
                    "model": model,
                    "cost_a_token": price.mean / NANOS if price else None,
                    "cost_a_token_range": [price.low / NANOS, price.high / NANOS] if price else None,
                }
                for name, model, price in known_models(connection)
            ]
