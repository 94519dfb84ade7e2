"""What is decided. `build` wires the services on one engine, with or without a web server around them."""

from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from app import db
from app.db import Sessions
from app.services.batch_service import BatchService
from app.services.queries import Queries
from app.services.readiness import Readiness
from app.services.run_report import RunReport
from app.services.sweeper import Sweeper
from app.services.task_pages import TaskPages
from app.services.task_queue import TaskQueue
from app.services.tokens import TokenStore
from config import Config


@dataclass(frozen=True)
class Services:
    """The services of one process."""

    engine: Engine
    sessions: Sessions
    batches: BatchService
    queue: TaskQueue
    queries: Queries
    run_report: RunReport
    task_pages: TaskPages
    tokens: TokenStore
    sweeper: Sweeper
    readiness: Readiness


def build(config: Config) -> Services:
    """Make the services on the database of `config`; nothing is started."""
    engine = db.make_engine(config)
    sessions = sessionmaker(engine)
    batches = BatchService(sessions, config.request_ttl_s)
    return Services(
        engine=engine,
        sessions=sessions,
        batches=batches,
        queue=TaskQueue(sessions, most_waiting=max(1, config.threads // 2)),
        queries=Queries(sessions),
        run_report=RunReport(sessions),
        task_pages=TaskPages(sessions),
        tokens=TokenStore(sessions, config.admin_token),
        sweeper=Sweeper(engine, sessions, batches),
        readiness=Readiness(sessions),
    )
