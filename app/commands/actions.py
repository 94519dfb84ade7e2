"""One verb for each action of the transition table: for batches by id, or for all that match a filter."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click

from app.commands.exit_codes import Ended, Exit, exit_code_of, sentence_of
from app.commands.service_command import Call, ServiceCommand, ServiceGroup, pass_call
from app.commands.values import BATCH, STATES, pairs
from app.domain.picture.diagram import rule
from app.domain.transitions import TABLE, Kind, Transition
from interlock.errors import InterlockError

IF_VERSION = click.option("--if-version", type=click.IntRange(1), help="Only if the batch has this version.")
SETTLE_SECONDS = 120.0  # for a request that was queued: the service lets it expire before that


@dataclass(frozen=True)
class Order:
    """What was requested of each batch."""

    action: str
    context: Mapping[str, Any]
    if_version: int | None
    dry_run: bool


def add_verbs(group: ServiceGroup) -> None:
    """Add the command of each action."""
    for row in TABLE:
        if row.kind is Kind.ACTION:
            group.add_command(_verb(row))


def _verb(row: Transition) -> ServiceCommand:
    needs = f" It is refused unless {rule(row)}." if rule(row) else ""
    states = " or ".join(row.sources)
    request = _request_of(row.trigger)
    for option in reversed(_OPTIONS):
        request = option(request)
    return click.command(cls=ServiceCommand, name=row.trigger, help=_help(row, states, needs))(request)


def _help(row: Transition, states: str, needs: str) -> str:
    meaning = row.meaning[0].upper() + row.meaning[1:]
    return f"{meaning}. A batch that is {states} becomes {row.target}.{needs}"


_OPTIONS: tuple[Any, ...] = (
    click.argument("batch_ids", nargs=-1, type=BATCH, metavar="[BATCH]..."),
    click.option("--state", type=STATES, help="Instead of ids: all batches in this state."),
    click.option("--name", help="Instead of ids: all batches whose name has this part."),
    click.option("--reason", help="Why: the audit trail keeps it."),
    IF_VERSION,
    click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="A limit of the run, as max_cost=2."),
    click.option("--context", "contexts", multiple=True, metavar="NAME=VALUE", help="Another part of the context."),
    click.option("--dry-run", is_flag=True, help="Print what it would do, and change nothing."),
    click.option("--yes", is_flag=True, help="Do not ask before all batches that match are changed."),
)


def _request_of(action: str) -> Any:
    @pass_call
    def request(
        call: Call, batch_ids: tuple[int, ...], state: str | None, name: str | None, reason: str | None,
        if_version: int | None, limits: tuple[str, ...], contexts: tuple[str, ...], dry_run: bool, yes: bool,
    ) -> None:  # fmt: skip
        context = pairs(contexts, "--context") | pairs(limits, "--limit")
        order = Order(action, context | ({"reason": reason} if reason else {}), if_version, dry_run)
        if bool(batch_ids) == bool(state or name):
            raise click.UsageError("Give the ids of batches, or --state or --name.")
        if if_version and len(batch_ids) != 1:
            raise click.UsageError("--if-version is for one batch.")
        if len(batch_ids) == 1:
            call.output.one("answer", _answer(call, order, batch_ids[0]))
            return
        chosen = list(batch_ids) or _matching(call, order, state, name, yes)
        codes: set[Exit] = set()
        call.output.rows("answer", _answers(call, order, chosen, codes))
        if codes:
            failed = "Not every batch took the action."
            raise Ended(failed, codes.pop() if len(codes) == 1 else Exit.FAILED)

    return request


def _matching(call: Call, order: Order, state: str | None, name: str | None, yes: bool) -> list[int]:
    found = [batch["id"] for batch in call.client.batches(state=state, name=name)]
    if found and not (yes or order.dry_run):
        if not sys.stdin.isatty():
            raise click.UsageError(f"{len(found)} batches match: give --yes to {order.action} them.")
        click.confirm(f"Request {order.action} for {len(found)} batches?", abort=True, err=True)
    return found


def _answers(call: Call, order: Order, batch_ids: Iterable[int], codes: set[Exit]) -> Iterator[dict[str, Any]]:
    for batch_id in batch_ids:
        try:
            yield _answer(call, order, batch_id)
        except InterlockError as failure:
            code = exit_code_of(failure)
            codes.add(code)
            yield _row(batch_id, order.action, code.name.lower(), reason=sentence_of(failure))
        except Ended as ended:
            codes.add(ended.code)
            yield _row(batch_id, order.action, ended.code.name.lower(), reason=ended.message)


def _answer(call: Call, order: Order, batch_id: int) -> dict[str, Any]:
    """Request the action for one batch; wait for the outcome where the batch is locked."""
    decision = call.client.act(
        batch_id, order.action, context=order.context, if_version=order.if_version, dry_run=order.dry_run
    )
    if decision["success"] is None:
        call.output.note(f"Batch {batch_id} is locked: the request is number {decision['queue_position']} in line.")
        outcome = call.client.settled(decision["request_id"], timeout_seconds=SETTLE_SECONDS)
        if outcome["status"] != "APPLIED":
            code = Exit.TIMEOUT if outcome["status"] == "EXPIRED" else Exit.REFUSED
            raise Ended(outcome["reason"] or "The request expired: nothing was done.", code)
        return _row(batch_id, order.action, "done", version=outcome["version"])
    batch = decision["batch"]
    row = _row(batch_id, order.action, "done", decision["version"], batch["state"], name=batch["name"])
    if order.dry_run:
        row |= {"outcome": "dry run", "state": decision["new_state"], "effect": decision.get("effect")}
        row["reason"] = decision.get("pauses_again")
    return row


def _row(
    batch_id: int, action: str, outcome: str, version: int | None = None, state: str | None = None,
    name: str | None = None, reason: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "batch_id": batch_id, "name": name, "action": action, "outcome": outcome, "state": state, "version": version,
        "reason": reason,
    }  # fmt: skip
