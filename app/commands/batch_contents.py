"""What a batch has, as commands of `interlock batches`: results, report, audit trail, possible actions."""

from collections.abc import Iterator
from typing import Any

import click

from app.commands.service_command import Call, ServiceCommand, pass_call
from app.commands.values import BATCH


@click.command(cls=ServiceCommand)
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.option("--run", type=click.IntRange(0), help="An earlier run. Default: the present one.")
@click.option(
    "--format", "form", type=click.Choice(["ndjson", "openai", "openai-errors"]), help="The form of the lines."
)
@click.option("--parquet", type=click.Path(dir_okay=False), help="Write them to this file, as Parquet.")
@pass_call
def results(call: Call, batch_id: int, run: int | None, form: str | None, parquet: str | None) -> None:
    """Print the results of a run, or write them to a file."""
    found = call.client.results(batch_id, run=run)
    if parquet:
        try:
            amount = found.to_parquet(parquet)
        except ImportError as error:
            raise click.ClickException(str(error)) from error
        call.output.one("file", {"file": parquet, "rows": amount})
    elif form:
        for line in found.lines(form):
            click.echo(line)
    else:
        call.output.rows("result", found)


@click.command(cls=ServiceCommand)
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.option("--run", type=click.IntRange(0), help="An earlier run. Default: the present one.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for a spreadsheet: one line for each task.")
@pass_call
def report(call: Call, batch_id: int, run: int | None, as_csv: bool) -> None:
    """Print the report of a run: its sums by model and prompt, and its answers."""
    if as_csv:
        for piece in call.client.stream(f"/api/batches/{batch_id}/report", run=run, format="csv"):
            click.echo(piece, nl=False)
        return
    whole = _whole_report(call, batch_id, run)
    if call.output.form != "table":
        call.output.one("report", whole)
        return
    call.output.rows("sum", [*whole["models"], *whole["prompts"]])
    call.output.rows("answer of a report", _answers(whole))


def _answers(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in report["documents"]:
        name = row["document"]["name"] if row["document"] else row.get("custom_id")
        yield from ({**answer, "document": name} for answer in row["answers"])


def _whole_report(call: Call, batch_id: int, run: int | None) -> dict[str, Any]:
    page = call.client.report(batch_id, run=run)
    whole: dict[str, Any] = {**page}
    while page["next_cursor"]:
        page = call.client.report(batch_id, run=run, cursor=page["next_cursor"])
        whole["documents"] += page["documents"]
    del whole["next_cursor"]
    return whole


@click.command(cls=ServiceCommand)
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@pass_call
def audit(call: Call, batch_id: int) -> None:
    """Print the audit trail of a batch, also of an archived one."""
    call.output.rows("audit row", call.client.audit(batch_id))


@click.command(cls=ServiceCommand)
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@pass_call
def actions(call: Call, batch_id: int) -> None:
    """Print each action, whether it is possible now, and the reason if it is not."""
    call.output.rows("action", call.client.actions(batch_id))


CONTENTS = (results, report, audit, actions)
