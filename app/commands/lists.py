"""`tasks`, `workers`, `connections`, `requests`: what the service does, and who does it."""

from itertools import islice

import click

from app.commands.service_command import Call, ServiceCommand, pass_call
from app.commands.values import BATCH
from app.domain.leases import TaskStatus

TASK_STATUS = click.Choice([status.value for status in TaskStatus], case_sensitive=False)


@click.command(cls=ServiceCommand)
@click.argument("batch_id", type=BATCH, metavar="BATCH", required=False)
@click.option("--task", "task_id", help="Instead of a batch: show this task whole.")
@click.option("--status", type=TASK_STATUS, help="Only tasks with this status.")
@click.option("--run", type=click.IntRange(0), help="An earlier run. Default: the present one.")
@click.option("--first", type=click.IntRange(1), help="Only the first so many.")
@pass_call
def tasks(
    call: Call, batch_id: int | None, task_id: str | None, status: str | None, run: int | None, first: int | None
) -> None:
    """List the tasks of a batch, or show one task with its result."""
    if (batch_id is None) == (task_id is None):
        raise click.UsageError("Give the id of a batch, or --task.")
    if task_id is not None:
        call.output.one("task", call.client.task(task_id))
    elif batch_id is not None:
        call.output.rows("task", islice(call.client.tasks(batch_id, status=status, run=run), first))


@click.command(cls=ServiceCommand)
@click.option("--name", help="Only workers whose name has this part.")
@pass_call
def workers(call: Call, name: str | None) -> None:
    """List the workers of the last seven days, the last seen first."""
    call.output.rows("worker", call.client.workers(name=name))


@click.command(cls=ServiceCommand)
@pass_call
def connections(call: Call) -> None:
    """List the connections to model servers, and which of them are closed."""
    call.output.rows("connection", call.client.connections())


@click.command(cls=ServiceCommand)
@click.argument("batch_id", type=BATCH, metavar="BATCH", required=False)
@click.option("--request", "request_id", help="Instead of a batch: show this request.")
@pass_call
def requests(call: Call, batch_id: int | None, request_id: str | None) -> None:
    """List the requests of a batch that were queued because it was locked, and their outcomes."""
    if (batch_id is None) == (request_id is None):
        raise click.UsageError("Give the id of a batch, or --request.")
    if request_id is not None:
        call.output.one("request", call.client.request(request_id))
    elif batch_id is not None:
        call.output.rows("request", call.client.requests(batch_id))
