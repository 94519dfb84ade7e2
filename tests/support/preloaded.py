"""What the processes of tests/support/process.py have imported before they begin: libraries, the service, the worker.

prometheus_client decides when it is imported whether the processes of a server share their counts, as `serve` wants
it. Each process that is forked opens files of its own in the folder that its environment names.
"""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from importlib import import_module

METRICS = "PROMETHEUS_MULTIPROC_DIR"
MODULES = (
    "click", "flask", "gunicorn.arbiter", "jsonschema", "marshmallow", "openai", "orjson", "psycopg2", "pytest",
    "rich.console", "rich.progress", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "structlog",
    "app.server.demo_service", "app.server.serve", "app.web.application", "app.web.trusted_proxies",
    "app.api", "app.ui", "app.v1", "app.models.defences", "app.commands.run", "app.commands.webhooks",
    "app.worker.arguments", "app.worker.connections.registry", "app.worker.executors.process_executor",
    "app.worker.exit", "app.worker.worker",
)  # fmt: skip


def _load() -> None:
    folder, own_pid = tempfile.mkdtemp(prefix="interlock-no-metrics-"), os.getpid()
    atexit.register(lambda: os.getpid() == own_pid and shutil.rmtree(folder, ignore_errors=True))
    os.environ[METRICS] = folder
    for name in MODULES:
        import_module(name)
    # `serve` refuses to go on where the package was imported before it had made its folder.
    del sys.modules["prometheus_client"]
    tempfile.tempdir = None  # each process looks for it in its own environment
    gc.collect()
    gc.freeze()  # no collection in a forked process looks at these objects


_load()
