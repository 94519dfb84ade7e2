"""The command line of the worker: `python -m app.worker`."""

import gc
import os
import socket
from functools import partial
from pathlib import Path
from typing import Any

import click
import stamina

from app.logging import configure
from app.tracing import setup
from app.tracing.tracer import tracer
from app.worker.arguments import (
    checked_function,
    checked_handlers,
    checked_languages,
    checked_url,
    connection_handlers,
    read_token,
)
from app.worker.documents_root import DocumentsRoot
from app.worker.executors import make_executor
from app.worker.exit import exit_process, stop_on_signals
from app.worker.extraction import Limits
from app.worker.extraction.limits import MIB
from app.worker.handlers import Handlers
from app.worker.options import Options
from app.worker.page_images import PageImages
from app.worker.reporting.spool import Spool
from app.worker.service.client import Address, Client
from app.worker.stager import Stager
from app.worker.task import Handler
from app.worker.worker import Worker

DEFAULTS, LIMITS = Options(), Limits()
GARBAGE_OBJECTS = 50_000  # between two collections: by default 700, and a leased task has about fifteen
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "auto_envvar_prefix": "INTERLOCK"}


@click.command(context_settings=HELP)
@click.option(
    "--url", default="http://127.0.0.1:5000", show_default=True, callback=checked_url, help="Address of the service."
)
@click.option(
    "--token",
    help="A token of role worker. INTERLOCK_TOKEN or --token-file are better: `ps` shows options to everyone.",
)
@click.option("--token-file", type=click.Path(path_type=Path), help="A file that contains the token.")
@click.option("--name", help="The worker's name in lists. Default: host name and process id.")
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), default=DEFAULTS.concurrency, show_default=True,
    help="Tasks that run at the same time.",
)  # fmt: skip
@click.option(
    "--prefetch", type=click.IntRange(0, 100), default=DEFAULTS.prefetch, show_default=True,
    help="Waiting tasks held for each running one. 0 for long tasks: no other worker can take a held task.",
)  # fmt: skip
@click.option(
    "--executor", default="threads", show_default=True,
    help="What runs the tasks: threads, processes, dask, or MODULE:FUNCTION that makes a concurrent.futures.Executor.",
)  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="With --executor dask: its scheduler, as tcp://10.0.0.1:8786.")
@click.option(
    "--handler", "handlers", multiple=True, callback=checked_handlers, metavar="CONNECTION[/MODEL]=MODULE:FUNCTION",
    help="The handler of a connection, or of one model of it. May be repeated.",
)  # fmt: skip
@click.option(
    "--connections", type=click.Path(path_type=Path), metavar="FILE",
    help="The model servers to use, in TOML. Default: connections.toml, if it exists.",
)  # fmt: skip
@click.option("--stage-handler", metavar="MODULE:FUNCTION", help="Reads documents instead of the built-in handler.")
@click.option(
    "--documents-root", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder below which folders of documents are read. Without it, none is read.",
)  # fmt: skip
@click.option(
    "--document-seconds", type=click.IntRange(1, 3600), default=LIMITS.seconds, show_default=True,
    help="Longest time to read one document.",
)  # fmt: skip
@click.option(
    "--document-memory-mib", type=click.IntRange(256, 65_536), default=LIMITS.memory_mib, show_default=True,
    help="Most memory to read one document.",
)  # fmt: skip
@click.option(
    "--document-characters", type=click.IntRange(1, 50_000_000), default=LIMITS.characters, show_default=True,
    help="Longest text of one document.",
)  # fmt: skip
@click.option(
    "--document-mib", type=click.IntRange(1, 512), default=LIMITS.bytes // MIB, show_default=True,
    help="Largest file of one document.",
)  # fmt: skip
@click.option(
    "--ocr-languages", metavar="eng+deu",
    help="Languages in which pictures of text are read, or `none`. Default: all that Tesseract has here.",
)  # fmt: skip
@click.option("--no-stage", is_flag=True, help="Read no documents: other workers do it.")
@click.option(
    "--only", multiple=True, metavar="CONNECTION",
    help="Work for this connection only (`jsonl`: for ready-made lines). May be repeated.",
)  # fmt: skip
@click.option("--batch-id", type=click.IntRange(1), help="Work for this batch only.")
@click.option("--lease-seconds", type=click.IntRange(1, 86_400), help="Length of leases. Default: set by each batch.")
@click.option(
    "--wait-seconds", type=click.FloatRange(0, 30), default=DEFAULTS.wait_seconds, show_default=True,
    help="How long the service may hold a lease request open while there is no task.",
)  # fmt: skip
@click.option(
    "--report-max", type=click.IntRange(1, 1000), default=DEFAULTS.report_max, show_default=True,
    help="Send reports when there are this many ...",
)  # fmt: skip
@click.option(
    "--report-ms", type=click.IntRange(0, 60_000), default=DEFAULTS.report_ms, show_default=True,
    help="... or when the first has waited this long.",
)  # fmt: skip
@click.option(
    "--spool", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Keeps answers that cannot be sent; the next start sends them. Without it they are kept in memory only.",
)  # fmt: skip
@click.option(
    "--grace-seconds", type=click.FloatRange(0, 3600), default=DEFAULTS.grace_seconds, show_default=True,
    help="Longest time from SIGTERM or Ctrl-C to the end. A second signal ends the worker at once.",
)  # fmt: skip
@click.option(
    "--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), default="INFO", show_default=True,
    help="The lowest level that is logged to stderr.",
)  # fmt: skip
def main(
    url: str, token: str | None, token_file: Path | None, name: str | None, executor: str, scheduler: str | None,
    handlers: dict[str, Handler], connections: Path | None, stage_handler: str | None, log_level: str,
    documents_root: Path | None, document_seconds: int, document_memory_mib: int, document_characters: int,
    document_mib: int, ocr_languages: str | None, spool: Path | None, no_stage: bool, only: tuple[str, ...],
    **options: Any,
) -> None:  # fmt: skip
    """Lease tasks of Interlock, run them and report their results, until SIGTERM or Ctrl-C.

    Each option may also be set in the environment, as INTERLOCK_URL, INTERLOCK_TOKEN, INTERLOCK_CONCURRENCY.

    Exit codes: 0 stopped by a signal, 1 reports were lost or the worker failed, 2 the service refuses the token.
    """
    configure(log_level)
    setup.start("interlock-worker")
    stamina.instrumentation.set_on_retry_hooks([])  # app/worker/service/outage.py logs an outage, with fewer lines
    address = Address(url, read_token(token, token_file))
    client = Client(address, (name or f"{socket.gethostname()}:{os.getpid()}")[:200])
    found = checked_languages(ocr_languages) if not no_stage else ""
    limits = Limits(document_seconds, document_memory_mib, document_characters, document_mib * MIB, found)
    root = DocumentsRoot(documents_root.resolve()) if documents_root else None
    files = Stager(address, limits, root)
    stager = checked_function(stage_handler) if stage_handler else files
    if (executor == "dask") != bool(scheduler):
        raise click.UsageError("--executor dask and --scheduler go together.")
    try:
        worker = Worker(
            client,
            Handlers(
                None if no_stage else stager,
                {**connection_handlers(connections, executor), **handlers},
                only,
                PageImages(files),
            ),
            Options(**options),
            partial(make_executor, executor, options["concurrency"], scheduler),
            Spool(spool, url) if spool else None,
        )
    except ImportError as error:
        raise click.BadParameter(str(error), param_hint="--executor") from error
    except OSError as error:
        raise click.BadParameter(f"no scheduler answers there: {error}", param_hint="--scheduler") from error
    stop_on_signals(worker)
    gc.freeze()  # what is loaded stays: no collection looks at it
    gc.set_threshold(GARBAGE_OBJECTS)
    exit_code = worker.run()
    tracer().close()
    exit_process(worker, exit_code)


if __name__ == "__main__":
    main(prog_name="python -m app.worker")
