"""`run`: from files to answers with one command."""

from pathlib import Path
from typing import Any

import click

from app.commands.batches import MODEL, OPTION, PROMPT
from app.commands.exit_codes import Ended, Exit
from app.commands.files import LINES, document_files, send_files
from app.commands.service_command import Call, ServiceCommand, pass_call
from app.commands.values import models_of, pairs, prompts_of
from app.commands.watching import TIMEOUT, followed, require_completed
from interlock.shapes import Batch


@click.command(cls=ServiceCommand)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@PROMPT
@MODEL
@OPTION
@click.option("--name", help="The name of the batch. Default: that of the first file.")
@click.option("--reason", help="Why: the audit trail keeps it.")
@TIMEOUT
@pass_call
def run(
    call: Call, files: tuple[str, ...], prompts: tuple[str, ...], models: tuple[str, ...], options: tuple[str, ...],
    name: str | None, reason: str | None, timeout: float | None,
) -> None:  # fmt: skip
    """Take FILES through a batch: create it, stage it, run it, wait for its end, and print its results.

    FILES are documents, folders of documents, or one file of ready-made tasks (.jsonl), which needs no prompt and no
    model. The batch stays on the service when this command is stopped; `interlock watch` follows it again.
    """
    called = name or Path(files[0]).name or "run"
    if len(files) == 1 and files[0].endswith(LINES):
        if prompts or models or options:
            raise click.UsageError("Ready-made tasks have their prompts and models in their lines.")
        batch = call.client.create_from_lines(called, files[0])
    else:
        batch = _create(call, called, files, prompts, models, options)
    call.output.note(f"Batch {batch['id']} is created: {call.client.url}/batches/{batch['id']}")
    ended = _run(call, batch, reason, timeout)
    call.output.rows("result", call.client.results(batch["id"]))
    failed = ended["progress"]["analysis"]["failed"]
    if failed:
        call.output.note(f"{failed} of {ended['progress']['analysis']['total']} tasks failed.")
    require_completed(ended)


def _create(
    call: Call, name: str, files: tuple[str, ...], prompts: tuple[str, ...], models: tuple[str, ...],
    options: tuple[str, ...],
) -> Batch:  # fmt: skip
    if not (prompts and models):
        raise click.UsageError("Documents need --prompt and --model.")
    found, questions, given = document_files(files), prompts_of(prompts), models_of(models)
    batch: Any = call.client.create(name, prompts=questions, models=given, options=pairs(options, "--option"))
    return send_files(call, batch, found)  # type: ignore[return-value]


def _run(call: Call, batch: Batch, reason: str | None, timeout: float | None) -> Batch:
    decision = call.client.act(batch["id"], "stage", reason=reason, context={"run_when_staged": True})
    if decision["success"] is None:
        outcome = call.client.settled(decision["request_id"])
        if outcome["status"] != "APPLIED":
            raise Ended(outcome["reason"] or "The request expired.", Exit.REFUSED)
    for ended in followed(call, batch["id"], timeout):
        last = ended
    return last
