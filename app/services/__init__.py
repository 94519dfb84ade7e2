"""What is decided. `build` wires the services on one engine, with or without a web server around them."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine

from app import db
from app.schema import Readiness
from app.services.access.sessions import Sessions
from app.services.access.sign_in_links import SignInLinks
from app.services.access.throttle import Throttle
from app.services.access.tokens import TokenStore
from app.services.batch.batch_service import BatchService
from app.services.clock import Clock
from app.services.file.files import Files
from app.services.file.uploads import Uploads
from app.services.file_batch.file_batches import FileBatches
from app.services.gauges.gauges import Gauges
from app.services.queue.task_queue import TaskQueue
from app.services.queue.worker_sightings import Sightings
from app.services.reads import Reads
from app.services.run_report.run_report import RunReport
from app.services.search.search import Search
from app.services.upkeep.outages import Outages
from app.services.upkeep.purge import Purge
from app.services.upkeep.sweeper import Sweeper
from app.services.webhook.courier import Courier
from app.services.webhook.notifying import Notifier
from app.services.webhook.sending import Sender
from app.services.webhook.webhooks import Webhooks
from config import Config


@dataclass(frozen=True)
class Services:
    """The services of one process."""

    engine: Engine
    clock: Clock
    batches: BatchService
    queue: TaskQueue
    sightings: Sightings
    reads: Reads
    run_report: RunReport
    search: Search
    files: Files
    uploads: Uploads
    file_batches: FileBatches
    tokens: TokenStore
    sessions: Sessions
    sign_in_links: SignInLinks
    sign_in_throttle: Throttle
    outages: Outages
    purge: Purge
    webhooks: Webhooks
    courier: Courier
    sweeper: Sweeper
    readiness: Readiness
    gauges: Gauges


def build(config: Config) -> Services:
    """Make the services on the database of `config`; nothing is started."""
    engine = db.make_engine(config)
    sightings = Sightings(engine)
    batches = BatchService(engine, config.request_ttl_s, sightings)
    queue = TaskQueue(engine, most_waiting=max(1, config.threads // 2), sightings=sightings)
    outages = Outages(engine, batches, queue.forget)
    clock = Clock(engine)
    tokens = TokenStore(engine, clock.now, config.admin_token)
    sender = Sender(config.webhook_networks)
    notifier = Notifier(sender)
    courier = Courier(engine, sender, notifier)
    reads = Reads.on(engine)
    purge_after = timedelta(days=config.purge_archived_after_days) or None
    return Services(
        engine=engine,
        clock=clock,
        batches=batches,
        queue=queue,
        sightings=sightings,
        reads=reads,
        run_report=RunReport(engine),
        search=Search(engine),
        files=Files(engine),
        uploads=Uploads(engine),
        file_batches=FileBatches(engine, batches),
        tokens=tokens,
        sessions=Sessions(engine, tokens),
        sign_in_links=SignInLinks(engine),
        sign_in_throttle=Throttle(),
        outages=outages,
        purge=Purge(engine, batches),
        webhooks=Webhooks(engine, sender, notifier),
        courier=courier,
        sweeper=Sweeper(engine, batches, outages, sightings, courier, purge_after),
        readiness=Readiness(engine),
        gauges=Gauges(engine, reads),
    )
