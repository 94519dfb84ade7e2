"""`api`: any call of the API."""

import json
from typing import Any

import click

from app.commands.service_command import Call, ServiceCommand, pass_call
from app.commands.values import text_of

METHODS = click.Choice(["GET", "POST", "PUT", "PATCH", "DELETE"], case_sensitive=False)


@click.command(cls=ServiceCommand)
@click.argument("method", type=METHODS)
@click.argument("path")
@click.option("-d", "--data", metavar="JSON|@FILE", help="The body.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME: VALUE", help="A header. May be repeated.")
@pass_call
def api(call: Call, method: str, path: str, data: str | None, headers: tuple[str, ...]) -> None:
    """Make any call of the API, as `interlock api GET /api/state-machine`, and print its answer as it is.

    A POST has an Idempotency-Key, and the call is repeated like any other.
    """
    if not path.startswith("/") or path.startswith("//"):
        raise click.BadParameter("has to begin with one slash, as /api/batches.", param_hint="PATH")
    if method == "GET" and data is None and not headers:
        for piece in call.client.stream(path):
            click.echo(piece, nl=False)
        return
    more: dict[str, Any] = {"headers": dict(map(_header, headers))}
    if data is not None:
        try:
            more["body"] = json.loads(text_of(data))
        except ValueError as error:
            raise click.BadParameter(f"is no JSON: {error}", param_hint="--data") from error
    click.echo(call.client.call(method, path, **more).content, nl=False)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip().isascii() and value.isascii() and value.isprintable()):
        raise click.BadParameter(f"{text!r} is not written as NAME: VALUE.", param_hint="--header")
    return name.strip(), value.strip()
