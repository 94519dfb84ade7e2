"""The command line, `python -m bench.edges`."""

from collections.abc import Callable

import click

from app.logging import configure
from bench.__main__ import one_interruption
from bench.edges.crashes import crashes
from bench.edges.form_fields import form_fields
from bench.edges.model_outages import model_outages
from bench.edges.options import Edges
from bench.edges.proxy_pages import proxy_pages
from bench.edges.slow_clients import slow_clients
from bench.progress import Progress
from bench.results import Result, table

ROWS: dict[str, Callable[[Edges], list[Result]]] = {
    "proxy": proxy_pages,
    "crashes": crashes,
    "models": model_outages,
    "slow": slow_clients,
    "forms": form_fields,
}
_MEANING = "\n".join(f"  {name:<11} {(row.__doc__ or '').splitlines()[0]}" for name, row in ROWS.items())


@click.command(
    epilog=f"\b\nRows:\n{_MEANING}", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("--only", "names", type=click.Choice(list(ROWS)), multiple=True, help="Try only this. May be repeated.")
@click.option("--page-seconds", default=20, show_default=True, help="How long a proxy answers with each page.")
@click.option("--rounds", default=100, show_default=True, help="Kills and full disks together.")
@click.option("--slow-seconds", default=60, show_default=True, help="How long there are slow clients.")
@click.option("--outage-seconds", default=60, show_default=True, help="How long a model server fails in each way.")
def edges(names: tuple[str, ...], page_seconds: int, rounds: int, slow_seconds: int, outage_seconds: int) -> None:
    """Try what the outside does to the service, at full length. Exit with 1 if a line is not met.

    The table goes to stdout, progress to stderr.
    """
    configure("ERROR")
    tried = Edges(Progress(), page_seconds, rounds, slow_seconds, outage_seconds)
    with one_interruption():
        results = [result for name in names or ROWS for result in ROWS[name](tried)]
    click.echo(table(results))
    if missed := [result.what for result in results if result.passes is False]:
        raise click.ClickException(f"Not met: {'; '.join(missed)}.")


if __name__ == "__main__":
    edges(prog_name="python -m bench.edges")
