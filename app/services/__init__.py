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
from app.services.reads.batch_page import BatchPage
from app.services.reads.batches import BatchList
from app.services.reads.known_models import KnownInput
from app.services.reads.queries import Queries
from app.services.reads.requests import WaitingRequests
from app.services.reads.tasks import TaskPages
from app.services.reads.workers import Workers
from app.services.run_report.run_report import RunReport
from app.services.upkeep.sweeper import Sweeper
from config import Config


@dataclass(frozen=True)
class Services:
    """The services of one process."""

    engine: Engine
    batches: BatchService
    queue: TaskQueue
    queries: Queries
    batch_list: BatchList
    batch_page: BatchPage
    run_report: RunReport
    task_pages: TaskPages
    tokens: TokenStore
    sign_in_links: SignInLinks
    sweeper: Sweeper
    readiness: Readiness
    workers: Workers
    waiting_requests: WaitingRequests
    known_input: KnownInput


def build(config: Config) -> Services:
    """Make the services on the database of `config`; nothing is started."""
    engine = db.make_engine(config)
    sightings = Sightings(engine)
    batches = BatchService(engine, config.request_ttl_s, sightings)
    return Services(
        engine=engine,
        batches=batches,
        queue=TaskQueue(engine, most_waiting=max(1, config.threads // 2), sightings=sightings),
        queries=Queries(engine),
        batch_list=BatchList(engine),
        batch_page=BatchPage(engine),
        run_report=RunReport(engine),
        task_pages=TaskPages(engine),
        tokens=TokenStore(engine, config.admin_token),
        sign_in_links=SignInLinks(engine),
        sweeper=Sweeper(engine, batches),
        readiness=Readiness(engine),
        workers=Workers(engine, sightings),
        waiting_requests=WaitingRequests(engine),
        known_input=KnownInput(engine),
    )
