"""A whole worker in this process, run in a thread."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from app.worker import Task
from app.worker.executors import make_executor
from app.worker.handlers import Handlers
from app.worker.options import Options
from app.worker.service.client import Address, Client
from app.worker.worker import Worker
from tests.support.waiting import LIMIT_SECONDS
from tests.worker import sample_handlers
from tests.worker.fake_service import FakeService

Handler = Callable[[Task], dict[str, Any]]


class Running:
    """A worker whose `run` is called in a thread."""

    def __init__(
        self,
        service: FakeService,
        handler: Handler,
        make: Callable[[], Executor] | None = None,
        others: dict[str, Handler] | None = None,
        **options: Any,
    ) -> None:
        settings = Options(**{"wait_seconds": 0.2, "grace_seconds": 5.0, "report_ms": 20, **options})
        client = Client(Address(service.url, service.token), "a worker")
        self.worker = Worker(
            client, Handlers(sample_handlers.read, {"test": handler, **(others or {})}), settings,
            make or (lambda: make_executor("threads", settings.concurrency)),
        )  # fmt: skip
        self.exit_code: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.exit_code = self.worker.run()

    def stop(self) -> int | None:
        self.worker.stop()
        return self.join()

    def join(self) -> int | None:
        self._thread.join(LIMIT_SECONDS)
        assert not self._thread.is_alive()
        return self.exit_code
