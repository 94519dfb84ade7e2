"""`webhooks`: who gets messages, and what became of them, as an admin of the service."""

from itertools import islice

import click

from app.commands.exit_codes import Ended, Exit
from app.commands.service_command import Call, ServiceGroup, pass_call
from app.commands.values import text_of
from app.domain.webhook import digests
from app.domain.webhook.delivery_status import DeliveryStatus
from app.domain.webhook.message_types import Format, MessageType

WEBHOOK = click.argument("webhook_id", type=click.IntRange(1), metavar="WEBHOOK")
TYPES = click.Choice([each.value for each in MessageType])
FORMATS = click.Choice([each.value for each in Format])
DIGEST = click.option(
    "--digest-minutes",
    type=click.IntRange(digests.LEAST_MINUTES, digests.MOST_MINUTES),
    help="With the format apprise: how often a digest is sent.",
)
STATUS = click.Choice([each.value for each in DeliveryStatus], case_sensitive=False)


@click.group(cls=ServiceGroup)
def webhooks() -> None:
    """Create, list, try and change webhooks, as an admin, and send their messages again."""


@webhooks.command(name="list")
@pass_call
def list_webhooks(call: Call) -> None:
    """List the webhooks, without their secrets."""
    call.output.rows("webhook", call.client.webhooks.list())


@webhooks.command()
@WEBHOOK
@pass_call
def show(call: Call, webhook_id: int) -> None:
    """Show a webhook, without its secret, and what went wrong last."""
    call.output.one("webhook", call.client.webhooks.show(webhook_id))


@webhooks.command()
@click.argument("address", metavar="URL|@FILE")
@click.option("--type", "types", multiple=True, required=True, type=TYPES, help="A type of message. May be repeated.")
@click.option("--description", help="What it is for.")
@click.option("--format", "form", type=FORMATS, help="Default: standard.")
@DIGEST
@pass_call
def create(
    call: Call, address: str, types: tuple[str, ...], description: str | None, form: str | None,
    digest_minutes: int | None,
) -> None:  # fmt: skip
    """Create a webhook that sends to URL and print it, with its secret. It is not shown again.

    The URL of a digest has a secret: give a file that has it.
    """
    given = {"description": description, "format": form, "digest_minutes": digest_minutes}
    more = {name: value for name, value in given.items() if value is not None}
    call.output.one("webhook", call.client.webhooks.create(text_of(address).strip(), types, **more))


@webhooks.command()
@WEBHOOK
@click.option("--to", "address", metavar="URL|@FILE", help="Where messages are sent from now on.")
@click.option("--type", "types", multiple=True, type=TYPES, help="Instead of its types. May be repeated.")
@click.option("--description", help="What it is for.")
@DIGEST
@click.option("--enable/--disable", "enabled", default=None, help="Whether messages are made and sent.")
@pass_call
def change(
    call: Call, webhook_id: int, address: str | None, types: tuple[str, ...], description: str | None,
    digest_minutes: int | None, enabled: bool | None,
) -> None:  # fmt: skip
    """Change a webhook, enable or disable it, and print it."""
    given = {
        "url": text_of(address).strip() if address else None,
        "types": list(types) or None,
        "description": description,
        "digest_minutes": digest_minutes,
        "enabled": enabled,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields:
        raise click.UsageError("Give --to, --type, --description, --digest-minutes, --enable or --disable.")
    call.output.one("webhook", call.client.webhooks.change(webhook_id, **fields))


@webhooks.command()
@WEBHOOK
@pass_call
def delete(call: Call, webhook_id: int) -> None:
    """Delete a webhook: nothing more is sent to it."""
    call.client.webhooks.delete(webhook_id)
    call.output.one("webhook", {"id": webhook_id, "deleted": True})


@webhooks.command()
@WEBHOOK
@pass_call
def rotate(call: Call, webhook_id: int) -> None:
    """Make a new secret and print it; the one before it signs, too, for another day."""
    call.output.one("webhook", call.client.webhooks.rotate(webhook_id))


@webhooks.command()
@WEBHOOK
@pass_call
def test(call: Call, webhook_id: int) -> None:
    """Send a test message now and print what became of it. Exits with 1 if it was not taken."""
    tried = call.client.webhooks.test(webhook_id)
    call.output.one("test of a webhook", tried)
    if not tried["delivered"]:
        raise Ended(f"The message was not taken: {tried['error']}.", Exit.FAILED)


@webhooks.command()
@WEBHOOK
@click.option("--status", type=STATUS, help="Only messages with this status.")
@click.option("--first", type=click.IntRange(1), help="Only the first so many.")
@pass_call
def deliveries(call: Call, webhook_id: int, status: str | None, first: int | None) -> None:
    """List the messages of a webhook, newest first, each with what became of it."""
    call.output.rows("delivery", islice(call.client.webhooks.deliveries(webhook_id, status=status), first))


@webhooks.command()
@WEBHOOK
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE]...")
@click.option("--since", metavar="TIME", help="Instead of ids: what failed from this time on.")
@click.option("--until", metavar="TIME", help="With --since: and before this time.")
@pass_call
def replay(call: Call, webhook_id: int, message_ids: tuple[str, ...], since: str | None, until: str | None) -> None:
    """Send messages again, by their ids or those that failed since a time, and print how many."""
    if bool(message_ids) == bool(since) or (until and not since):
        raise click.UsageError("Give the ids of messages, or --since with or without --until.")
    amount = call.client.webhooks.replay(webhook_id, message_ids or None, since=since, until=until)
    call.output.one("replay", {"webhook_id": webhook_id, "replayed": amount})
