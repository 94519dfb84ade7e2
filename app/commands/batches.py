"""`interlock batches`: list, show, create and edit batches; what they have and the verbs are modules of their own."""

import json
from itertools import islice
from typing import Any

import click

from app.commands.actions import IF_VERSION, add_verbs
from app.commands.batch_contents import CONTENTS
from app.commands.files import LINES, document_files, send_files
from app.commands.service_command import Call, ServiceGroup, pass_call
from app.commands.values import BATCH, STATES, models_of, pairs, prompts_of, text_of

PROMPT = click.option("--prompt", "prompts", multiple=True, metavar="TEXT|@FILE", help="A prompt. May be repeated.")
MODEL = click.option("--model", "models", multiple=True, metavar="CONNECTION/MODEL", help="A model. May be repeated.")
OPTION = click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the batch, as max_cost=2."
)


@click.group(cls=ServiceGroup)
def batches() -> None:
    """List, create, change and read batches."""


@batches.command(name="list")
@click.option("--state", type=STATES, help="Only batches in this state.")
@click.option("--name", help="Only batches whose name has this part.")
@click.option("--first", type=click.IntRange(1), help="Only the first so many.")
@pass_call
def list_batches(call: Call, state: str | None, name: str | None, first: int | None) -> None:
    """List the batches, newest first."""
    call.output.rows("batch", islice(call.client.batches(state=state, name=name), first))


@batches.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@pass_call
def show(call: Call, batch_id: int) -> None:
    """Show a batch, with what its tasks wait for."""
    call.output.one("batch", call.client.batch(batch_id))


@batches.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True))
@click.option("--name", help="The name of the batch.")
@click.option("--body", metavar="JSON|@FILE", help="The body of POST /api/batches; the other flags are added to it.")
@PROMPT
@MODEL
@OPTION
@pass_call
def create(
    call: Call, files: tuple[str, ...], name: str | None, body: str | None,
    prompts: tuple[str, ...], models: tuple[str, ...], options: tuple[str, ...],
) -> None:  # fmt: skip
    """Create a batch of the documents FILES (files or folders), and print it.

    One file of ready-made tasks (.jsonl) needs a --name and nothing else.
    """
    if len(files) == 1 and files[0].endswith(LINES):
        if not name or body or prompts or models or options:
            raise click.UsageError("Ready-made tasks need --name, and take no other flag.")
        call.output.one("batch", call.client.create_from_lines(name, files[0]))
        return
    whole = _json_object(body) if body else {}
    whole |= {"name": name} if name else {}
    whole |= {"prompts": prompts_of(prompts)} if prompts else {}
    whole |= {"models": models_of(models)} if models else {}
    whole["options"] = {**whole.get("options", {}), **pairs(options, "--option")}
    sent = document_files(files)
    batch = call.client.call("POST", "/api/batches", body=whole).json()
    call.output.one("batch", send_files(call, batch, sent))


@batches.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.option("--name", help="The name of the new batch. Default: the same name.")
@OPTION
@pass_call
def duplicate(call: Call, batch_id: int, name: str | None, options: tuple[str, ...]) -> None:
    """Create a batch with the documents, prompts, models and options of another one, without its results."""
    called = name or call.client.batch(batch_id)["name"]
    changed = pairs(options, "--option") or None
    call.output.one("batch", call.client.create(called, copy_of=batch_id, options=changed))


@batches.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@pass_call
def add(call: Call, batch_id: int, files: tuple[str, ...]) -> None:
    """Add the documents FILES (files or folders) to a batch that is SAVED, and print it."""
    call.output.one("batch", send_files(call, {"id": batch_id}, document_files(files)))


@batches.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.argument("name")
@IF_VERSION
@pass_call
def rename(call: Call, batch_id: int, name: str, if_version: int | None) -> None:
    """Give a batch another name, and print it."""
    call.output.one("batch", call.client.rename(batch_id, name, if_version=if_version))


@batches.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@IF_VERSION
@pass_call
def archive(call: Call, batch_id: int, if_version: int | None) -> None:
    """Archive a batch that is not at work. There is no way back; the audit trail stays readable."""
    call.client.archive(batch_id, if_version=if_version)
    call.output.one("batch", {"id": batch_id, "archived": True})


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text_of(text))
    except ValueError as error:
        raise click.BadParameter(f"is no JSON: {error}", param_hint="--body") from error
    if not isinstance(found, dict):
        raise click.BadParameter("is no JSON object", param_hint="--body")
    return found


for command in CONTENTS:
    batches.add_command(command)
add_verbs(batches)
