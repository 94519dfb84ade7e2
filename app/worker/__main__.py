"""The command line: `python -m app.worker`. Reads the options, sets up one worker, and turns signals into its end."""

import multiprocessing
import os
import signal
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import click
import stamina

from app.logging import configure
from app.worker.client import Address, Client
from app.worker.connections import settings
from app.worker.documents_root import DocumentsRoot
from app.worker.executors import make_executor
from app.worker.extraction import Limits
from app.worker.extraction.limits import MIB
from app.worker.handlers import Handlers
from app.worker.imports import imported
from app.worker.loop import Options, Worker
from app.worker.stager import Stager
from app.worker.task import Handler

DEFAULTS, LIMITS = Options(), Limits()
CONNECTIONS = Path("connections.toml")
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "auto_envvar_prefix": "INTERLOCK"}


def checked_url(_: click.Context, __: click.Parameter, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise click.BadParameter(f"{value!r} is no address such as http://127.0.0.1:5000")
    return value.rstrip("/")


def checked_handlers(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Handler]:
    handlers = {}
    for value in values:
        name, equals, function = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not written as CONNECTION=MODULE:FUNCTION")
        handlers[name] = checked_function(function)
    return handlers


def checked_function(name: str) -> Handler:
    try:
        return imported(name)
    except ImportError as error:
        raise click.BadParameter(str(error)) from error


def read_token(token: str | None, token_file: Path | None) -> str:
    """Take the token from its option or its file. Raises click.UsageError when there is none, or not a usable one."""
    if token_file is not None:
        try:
            token = token_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"The token file {token_file} cannot be read: {error}.") from error
    token = (token or "").strip()
    if not token:
        raise click.UsageError("A worker's token is needed: give --token-file, or set INTERLOCK_TOKEN.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise click.UsageError("The token holds characters that no token has.")
    return token


def connected(path: Path | None, executor: str) -> dict[str, Handler]:
    """Make the handlers of a file of connections. Raises click.BadParameter naming all that is wrong with it."""
    path = path or (CONNECTIONS if CONNECTIONS.exists() else None)
    if path is None:
        return {}
    if executor != "threads":  # each process would have limits of its own, and need the keys
        raise click.BadParameter(f"{path} needs --executor threads.", param_hint="--connections")
    from app.worker.connections.registry import handlers_of  # the SDK behind it takes seconds to import

    try:
        return handlers_of(settings.read(path, os.environ))
    except settings.WrongConnections as error:
        raise click.BadParameter(str(error), param_hint="--connections") from error


@click.command(context_settings=HELP)
@click.option("--url", default="http://127.0.0.1:5000", show_default=True, callback=checked_url, help="The service.")
@click.option("--token", help="A token of role worker. Better by INTERLOCK_TOKEN or --token-file: `ps` shows options.")
@click.option("--token-file", type=click.Path(path_type=Path), help="A file that holds the token.")
@click.option("--name", help="What leases are listed under. Default: host and process id.")
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), default=DEFAULTS.concurrency, show_default=True,
    help="Tasks worked on at once.",
)  # fmt: skip
@click.option(
    "--prefetch", type=click.IntRange(0, 100), default=DEFAULTS.prefetch, show_default=True,
    help="Tasks held ready for each one worked on. 0 for long tasks: what is held here nobody else does.",
)  # fmt: skip
@click.option(
    "--executor", default="threads", show_default=True,
    help="What tasks run on: threads, processes, dask, or MODULE:FUNCTION that makes a concurrent.futures.Executor.",
)  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="With --executor dask: its scheduler, as tcp://10.0.0.1:8786.")
@click.option(
    "--handler", "handlers", multiple=True, callback=checked_handlers, metavar="CONNECTION[/MODEL]=MODULE:FUNCTION",
    help="Who answers for a connection, or for one model of it. May be repeated.",
)  # fmt: skip
@click.option(
    "--connections", type=click.Path(path_type=Path), metavar="FILE",
    help="The model servers to ask, in TOML. Default: connections.toml, if it is there.",
)  # fmt: skip
@click.option("--stage-handler", metavar="MODULE:FUNCTION", help="Who reads documents, in place of the built-in.")
@click.option(
    "--documents-root", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder below which folders of documents are read. Without it, none is.",
)  # fmt: skip
@click.option(
    "--document-seconds", type=click.IntRange(1, 3600), default=LIMITS.seconds, show_default=True,
    help="How long one document may take to read.",
)  # fmt: skip
@click.option(
    "--document-memory-mib", type=click.IntRange(256, 65_536), default=LIMITS.memory_mib, show_default=True,
    help="How much memory reading it may take.",
)  # fmt: skip
@click.option(
    "--document-characters", type=click.IntRange(1, 50_000_000), default=LIMITS.characters, show_default=True,
    help="How long its text may be.",
)  # fmt: skip
@click.option(
    "--document-mib", type=click.IntRange(1, 512), default=LIMITS.bytes // MIB, show_default=True,
    help="How large its file may be.",
)  # fmt: skip
@click.option("--batch-id", type=click.IntRange(1), help="Work for this batch alone.")
@click.option("--lease-seconds", type=click.IntRange(1, 86_400), help="Length of leases. Default: as each batch says.")
@click.option(
    "--wait-seconds", type=click.FloatRange(0, 30), default=DEFAULTS.wait_seconds, show_default=True,
    help="How long the service may hold a request while there is nothing to do.",
)  # fmt: skip
@click.option(
    "--report-max", type=click.IntRange(1, 1000), default=DEFAULTS.report_max, show_default=True,
    help="Send reports when so many are together ...",
)  # fmt: skip
@click.option(
    "--report-ms", type=click.IntRange(0, 60_000), default=DEFAULTS.report_ms, show_default=True,
    help="... or when the first has waited so long.",
)  # fmt: skip
@click.option(
    "--grace-seconds", type=click.FloatRange(0, 3600), default=DEFAULTS.grace_seconds, show_default=True,
    help="From SIGTERM or Ctrl-C to the end, at most. A second signal ends at once.",
)  # fmt: skip
@click.option(
    "--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), default="INFO", show_default=True,
    help="What is told on stderr.",
)  # fmt: skip
def main(
    url: str, token: str | None, token_file: Path | None, name: str | None, executor: str, scheduler: str | None,
    handlers: dict[str, Handler], connections: Path | None, stage_handler: str | None, log_level: str,
    documents_root: Path | None, document_seconds: int, document_memory_mib: int, document_characters: int,
    document_mib: int, **options: Any,
) -> None:  # fmt: skip
    """Lease tasks of Interlock, work on them, report what came of it; until SIGTERM or Ctrl-C.

    Each option may also come from the environment, as INTERLOCK_URL, INTERLOCK_TOKEN, INTERLOCK_CONCURRENCY.

    Exit codes: 0 ended as asked, 1 answers were lost or something failed, 2 the service does not accept the token.
    """
    configure(log_level)
    stamina.instrumentation.set_on_retry_hooks([])  # an outage is told now and then, not at every attempt
    address = Address(url, read_token(token, token_file))
    client = Client(address, (name or f"{socket.gethostname()}:{os.getpid()}")[:200])
    limits = Limits(document_seconds, document_memory_mib, document_characters, document_mib * MIB)
    root = DocumentsRoot(documents_root.resolve()) if documents_root else None
    stage = checked_function(stage_handler) if stage_handler else Stager(address, limits, root)
    if (executor == "dask") != bool(scheduler):
        raise click.UsageError("--executor dask and --scheduler go together.")
    try:
        worker = Worker(
            client,
            Handlers(stage, {**connected(connections, executor), **handlers}),
            Options(**options),
            partial(make_executor, executor, options["concurrency"], scheduler),
        )
    except ImportError as error:
        raise click.BadParameter(str(error), param_hint="--executor") from error
    except OSError as error:
        raise click.BadParameter(f"no scheduler answers there: {error}", param_hint="--scheduler") from error
    stop_on_signals(worker)
    end(worker, worker.run())


def stop_on_signals(worker: Worker) -> None:
    """End in order at the first SIGTERM or SIGINT, at once at the second."""
    # The interpreter writes each signal's number here as it comes in. A handler of its own would wait for the main
    # thread, which a signal in the moment before it begins to wait for something does not wake.
    told, telling = socket.socketpair()
    telling.setblocking(False)
    signal.set_wakeup_fd(telling.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        with told, telling:
            worker.stop(f"signal {signal.Signals(told.recv(1)[0]).name}")
            leave(128 + told.recv(1)[0])

    threading.Thread(target=listen, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # or the signal would end the process by itself


def end(worker: Worker, exit_code: int) -> None:
    """Leave the process, even with handlers that do not end."""
    if not worker.abandoned:
        sys.exit(exit_code)
    leave(exit_code)


def leave(exit_code: int) -> NoReturn:
    """Leave at once, and leave no process behind."""
    for child in multiprocessing.active_children():
        if child.pid:
            os.kill(child.pid, signal.SIGKILL)  # loky's have no kill of their own, and leave SIGTERM to us
    sys.stderr.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    main(prog_name="python -m app.worker")
