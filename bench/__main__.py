"""The command line of the benchmark, `python -m bench`."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from app.logging import configure
from bench.api_caller import WrongAnswer
from bench.deployment import DoesNotAddUp
from bench.load import BadLoad, NoLoadGenerator, find_wrk
from bench.machine import machine
from bench.options import Bench
from bench.pgbench import find_pgbench
from bench.progress import Progress
from bench.results import Result, table, write_markdown
from bench.rows import (
    actions,
    bare,
    flat,
    jsonl,
    leases,
    memory,
    overhead,
    pace,
    pages,
    peers,
    purging,
    reading,
    reports,
    routes,
    sizes,
    snapshots,
    statements,
    watchers,
    workers,
)
from tests.support.postgres import NoPostgres, private_postgres

INTERRUPTED = 130
ROWS: dict[str, Callable[[Bench], list[Result]]] = {
    "bare": bare.beside_bare,
    "action": actions.spread,
    "lease": leases.bulk,
    "report": reports.single,
    "size": sizes.sizes,
    "flat": flat.flat,
    "hot": actions.hot,
    "sqlite": actions.sqlite,
    "worker": workers.end_to_end,
    "peers": peers.peers,
    "reading": reading.reading,
    "jsonl": jsonl.jsonl,
    "pace": pace.pace,
    "routes": routes.empty,
    "memory": memory.idle,
    "statements": statements.statements,
    "pages": pages.pages,
    "watchers": watchers.watchers,
    "purge": purging.purging,
    "snapshot": snapshots.snapshots,
    "overhead": overhead.overhead,
}
_MEANING = "\n".join(f"  {name:<11} {(row.__doc__ or '').splitlines()[0]}" for name, row in ROWS.items())


@contextmanager
def one_interruption() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first Ctrl-C or SIGTERM, and ignore further ones during the clean-up."""

    def interrupt(*_: Any) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    yield


@click.command(
    epilog=f"\b\nRows:\n{_MEANING}", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="How many times each row is measured."
)
@click.option(
    "--seconds", type=click.IntRange(1, 600), default=5, show_default=True, help="Length of each measurement."
)
@click.option(
    "--scale",
    type=click.FloatRange(0.001, 10),
    default=1.0,
    help="Factor for the sizes of batches; 0.1 for a quick look.",
)
@click.option(
    "--tasks",
    type=click.IntRange(1_000),
    default=1_000_000,
    show_default=True,
    help="Tasks in the large batches of the rows `pages` and `purge`.",
)
@click.option(
    "--only", "names", type=click.Choice(list(ROWS)), multiple=True, help="Measure only this row. May be repeated."
)
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the table to this file, too.")
def bench(rounds: int, seconds: int, scale: float, tasks: int, names: tuple[str, ...], markdown: Path | None) -> None:
    """Measure the service on a private PostgreSQL with fsync, as `serve` runs it with WORKERS=2.

    The table goes to stdout, progress to stderr. A missed floor is shown in the table, and is not an error. Answers
    that do not match the rows in the database are an error. A FILE with the lines `bench:begin` and `bench:end` (as
    HTML comments, see docs/performance.md) gets the table between them.
    """
    configure("ERROR")  # some rows run the application in this process: hide its log lines
    try:
        find_wrk()
        find_pgbench()
        with one_interruption(), private_postgres(fsync=True) as postgres_url:
            run = Bench(postgres_url, Progress(), rounds, seconds, scale, tasks)
            about = machine(run)
            results = [result for name in names or ROWS for result in ROWS[name](run)]
    except (NoLoadGenerator, NoPostgres, BadLoad, DoesNotAddUp, WrongAnswer) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("Interrupted. Everything is stopped and cleaned up.", err=True)
        raise SystemExit(INTERRUPTED) from None
    block = f"{about}\n\n{table(results)}"
    click.echo(block)
    if markdown:
        write_markdown(markdown, block)


if __name__ == "__main__":
    bench(prog_name="python -m bench")
