"""What is decided. `build` wires the services on one engine, with or without a web server around them."""

from dataclasses import dataclass

from sqlalchemy import Engine

from app import db
from app.schema import Readiness
from app.services.access.sign_in_links import SignInLinks
from app.services.access.tokens import TokenStore
from app.services.batch.batch_service import BatchService
from app.services.queue.task_queue import TaskQueue
from app.services.queue.worker_sightings import Sightings
from app.services.reads import Reads
from app.services.run_report.run_report import RunReport
from app.services.upkeep.sweeper import Sweeper
from config import Config


@dataclass(frozen=True)
class Services:
    """The services of one process."""

    engine: Engine
    batches: BatchService
    queue: TaskQueue
    reads: Reads
    run_report: RunReport
    tokens: TokenStore
    sign_in_links: SignInLinks
    sweeper: Sweeper
    readiness: Readiness


def build(config: Config) -> Services:
    """Make the services on the database of `config`; nothing is started."""
    engine = db.make_engine(config)
    sightings = Sightings(engine)
    batches = BatchService(engine, config.request_ttl_s, sightings)
    return Services(
        engine=engine,
        batches=batches,
        queue=TaskQueue(engine, most_waiting=max(1, config.threads // 2), sightings=sightings),
        reads=Reads.on(engine, sightings),
        run_report=RunReport(engine),
        tokens=TokenStore(engine, config.admin_token),
        sign_in_links=SignInLinks(engine),
        sweeper=Sweeper(engine, batches),
        readiness=Readiness(engine),
    )
