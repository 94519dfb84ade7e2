"""All figures of /metrics that are read from the database or from this machine, in one pass over one connection."""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, Engine

from app.db import reading
from app.domain.version import VERSION
from app.errors import Refusal
from app.metrics import Family, Sample
from app.services.gauges import service, work
from app.services.gauges.usage import UsageByModel
from app.services.reads import Reads

Read = Callable[[], list[Family]]


class Gauges:
    """Reads the figures of a scrape. While the database is away, those of this machine are left."""

    def __init__(self, engine: Engine, reads: Reads) -> None:
        self._engine = engine
        self._reads = reads
        self._usage = UsageByModel()

    def families(self) -> list[Family]:
        """Read all figures."""
        own = [service.build(self._engine, VERSION), *service.disks(self._engine)]
        try:
            with reading(self._engine) as connection:
                counted = [*self._of_readers(), *self._counted(connection)]
        except Refusal:
            return [*own, service.is_up(False)]
        return [*own, service.is_up(True), *counted]

    def _of_readers(self) -> Iterator[Family]:
        states = [Sample((state,), float(amount)) for state, amount in self._reads.batches.counts().items()]
        yield Family("interlock_batches", "Batches in each state", ("state",), states)
        circuits = [Sample(labels, 1.0) for labels in self._reads.connections.states()]
        labels = ("connection", "model", "state")
        yield Family("interlock_connection_state", "1 for the state of each connection", labels, circuits)
        unserved = [Sample((), float(self._reads.connections.unserved_targets()))]
        help_text = "Models of batches at work that no present worker can call"
        yield Family("interlock_unserved_targets", help_text, (), unserved)

    def _counted(self, connection: Connection) -> Iterator[Family]:
        now = service.clock(connection)
        yield work.tasks(connection)
        yield work.oldest(connection, now)
        yield work.stalled(connection, now)
        yield work.limits(connection)
        yield service.workers(connection, self._reads.workers.silent())
        yield from service.requests(connection, now)
        yield from service.webhooks(connection)
        yield from self._usage.families(connection)
