"""What lists and pages show, as of the last commit: one reader for each noun, the same for the API and the pages."""

from dataclasses import dataclass

from sqlalchemy import Engine

from app.services.connection.connections import Connections
from app.services.estimate.known_models import KnownModels
from app.services.reads.audit import AuditTrail
from app.services.reads.batch_list import BatchList
from app.services.reads.batch_page import BatchPage
from app.services.reads.batches import Batches
from app.services.reads.documents import Documents
from app.services.reads.requests import Requests
from app.services.reads.results import Results
from app.services.reads.tasks import Tasks
from app.services.reads.workers import Workers


@dataclass(frozen=True)
class Reads:
    """The readers. They lock nothing and wait for no lock."""

    batches: Batches
    batch_list: BatchList
    batch_page: BatchPage
    tasks: Tasks
    results: Results
    audit: AuditTrail
    requests: Requests
    documents: Documents
    workers: Workers
    known_models: KnownModels
    connections: Connections

    @classmethod
    def on(cls, engine: Engine) -> "Reads":
        """Make all readers on one engine."""
        batches = Batches(engine)
        return cls(
            batches=batches,
            batch_list=BatchList(engine),
            batch_page=BatchPage(engine, batches),
            tasks=Tasks(engine),
            results=Results(engine),
            audit=AuditTrail(engine),
            requests=Requests(engine),
            documents=Documents(engine),
            workers=Workers(engine),
            known_models=KnownModels(engine),
            connections=Connections(engine),
        )
