"""`tokens`: create, list and revoke tokens, as an admin of the service."""

import click

from app.commands.service_command import Call, ServiceGroup, pass_call
from app.domain.roles import Role


@click.group(cls=ServiceGroup)
def tokens() -> None:
    """Create, list and revoke API tokens, as an admin. `python -m app.cli tokens` does it without a service."""


@tokens.command(name="list")
@pass_call
def list_tokens(call: Call) -> None:
    """List the tokens, without their secrets."""
    call.output.rows("token", call.client.tokens())


@tokens.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What the token allows.")
@click.option("--expires-at", metavar="TIME", help="As 2027-01-31T12:00:00Z. Default: never.")
@pass_call
def create(call: Call, name: str, role: str, expires_at: str | None) -> None:
    """Create a token for NAME and print it, with its secret. It is not shown again."""
    call.output.one("token", call.client.create_token(name, role, expires_at=expires_at))


@tokens.command()
@click.argument("token_id", type=click.IntRange(1), metavar="TOKEN")
@pass_call
def revoke(call: Call, token_id: int) -> None:
    """Revoke a token. Within a second, the service refuses it."""
    call.client.revoke_token(token_id)
    call.output.one("token", {"id": token_id, "revoked": True})
