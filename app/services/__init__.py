"""What is decided. `build` wires the services on one engine, with or without a web server around them."""

from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from app import db
from app.db import Sessions
from app.services.batch_list import BatchList
from app.services.batch_page import BatchPage
from app.services.batch_service import BatchService
from app.services.known_input import KnownInput
from app.services.queries import Queries
from app.services.readiness import Readiness
from app.services.run_report import RunReport
from app.services.sightings import Sightings
from app.services.sign_in_links import SignInLinks
from app.services.sweeper import Sweeper
from app.services.task_pages import TaskPages
from app.services.task_queue import TaskQueue
from app.services.tokens import TokenStore
from app.services.waiting_requests import WaitingRequests
from app.services.workers import Workers
from config import Config


@dataclass(frozen=True)
class Services:
    """The services of one process."""

    engine: Engine
    sessions: Sessions
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
    sessions = sessionmaker(engine)
    sightings = Sightings(sessions)
    batches = BatchService(sessions, config.request_ttl_s, sightings)
    return Services(
        engine=engine,
        sessions=sessions,
        batches=batches,
        queue=TaskQueue(sessions, most_waiting=max(1, config.threads // 2), sightings=sightings),
        queries=Queries(sessions),
        batch_list=BatchList(sessions),
        batch_page=BatchPage(sessions),
        run_report=RunReport(sessions),
        task_pages=TaskPages(sessions),
        tokens=TokenStore(sessions, config.admin_token),
        sign_in_links=SignInLinks(sessions),
        sweeper=Sweeper(engine, sessions, batches),
        readiness=Readiness(sessions),
        workers=Workers(sessions, sightings),
        waiting_requests=WaitingRequests(sessions),
        known_input=KnownInput(sessions),
    )
