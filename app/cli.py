"""The command line, `python -m app.cli`: runs the service and does what needs no running one.

It knows the services and nothing of HTTP; `demo` alone talks to a running service, as any client would.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from environs import EnvValidationError
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from app import db, schema
from app.domain.roles import Role
from app.errors import Refusal
from app.logging import configure
from app.server.address import CannotListen
from app.server.leaving import metrics_folder
from app.server.on_loan import NoService, service_on_loan
from config import Config

if TYPE_CHECKING:
    from app.services import Services

# The services are imported where they are used: they count metrics, and `serve` has to make the folder for those
# before anything imports prometheus_client.

console = Console(width=None if sys.stdout.isatty() else 160)  # rows stay rows in a pipe
TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
TOKEN_COLUMNS = ("id", "name", "role", "created_at", "expires_at")


class PlainErrors(click.Group):
    """A group whose commands answer what was foreseen to go wrong with one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EnvValidationError as error:
            said: Any = error.error_messages  # setting -> sentences
            wrong = [f"{name}: {' '.join(sentences)}" for name, sentences in said.items()]
            raise click.ClickException(f"Wrong settings: {'; '.join(wrong)}") from error
        except (ArgumentError, NoSuchModuleError) as error:
            raise click.ClickException(f"Wrong settings: DATABASE_URL: {error}") from error
        except Refusal as refusal:
            cause = str(getattr(refusal.__cause__, "orig", "") or "").splitlines()
            raise click.ClickException(" ".join([refusal.detail, *cause[:1]])) from refusal
        except OSError as error:
            raise click.ClickException(f"{error.strerror or error}: {error.filename or ''}") from error
        except (CannotListen, NoService) as error:
            raise click.ClickException(str(error)) from error


@contextmanager
def services() -> Iterator["Services"]:
    """Build the services from the environment for one command."""
    from app.services import build

    config = Config.from_environment()
    configure(config.log_level)
    built = build(config)
    try:
        with db.translated_errors():
            yield built
    finally:
        built.engine.dispose()


@click.group(cls=PlainErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Interlock owns the state of every batch. Settings come from the environment: see docs/operating.md."""


@cli.command()
def serve() -> None:
    """Migrate the database and run the service, until SIGTERM or Ctrl-C.

    Listens on HOST:PORT with WORKERS processes, and runs one queue worker unless EMBEDDED_WORKER=0.
    """
    config = Config.from_environment()
    with metrics_folder():
        from app.server.process import serve as serve_until_stopped

        serve_until_stopped(config)


@cli.command(name="sign-in-link")
def sign_in_link() -> None:
    """Print an address of the running service that signs a browser in as admin, once and within an hour."""
    from app.server.sign_in_link import sign_in_url

    with db.translated_errors():
        click.echo(sign_in_url(Config.from_environment()))


@cli.command()
@click.argument("revision", default="head")
@click.option("--down", is_flag=True, help="Go down to REVISION instead of up.")
def migrate(revision: str, down: bool) -> None:
    """Bring the database to REVISION (default: the newest). `serve` does so by itself."""
    config = Config.from_environment()
    with db.translated_errors():
        schema.migrate(config.database_url, revision, downgrade=down)
    click.echo(f"The database is at {revision}.")


@cli.command()
def verify() -> None:
    """Check every batch against the audit log and the table; exit with 1 if anything contradicts."""
    from app.services.upkeep.verify import verify as find_contradictions

    with services() as built:
        findings = list(find_contradictions(built.engine))
    for finding in findings:
        click.echo(finding)
    if findings:
        raise click.ClickException(f"{len(findings)} contradictions.")
    click.echo("No contradictions.")


@cli.command()
@click.option("--url", envvar="INTERLOCK_URL", help="The service to use. Default: INTERLOCK_URL, or HOST:PORT.")
@click.option("--token", envvar="INTERLOCK_TOKEN", help="An operator's token. Better by INTERLOCK_TOKEN.")
def demo(url: str | None, token: str | None) -> None:
    """Send sample documents through stage and run; print results and audit trail.

    Uses the service at --url, or the one that answers at HOST:PORT, or starts one for the time of the demo.
    """
    from app.demo import demo as run_demo

    with service_on_loan(url, token, Config.from_environment()) as found:
        exit_code = run_demo(found.url, found.token, console)
    sys.exit(exit_code)


@cli.group()
def tokens() -> None:
    """Create, list and revoke API tokens."""


@tokens.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What the bearer may do.")
@click.option("--expires-at", type=TIMES, metavar="TIME", help="In UTC, as 2027-01-31T12:00:00. Default: never.")
def create(name: str, role: str, expires_at: datetime | None) -> None:
    """Create a token for NAME and print its secret, which is shown this once."""
    with services() as built:
        made = built.tokens.create(name, role, expires_at and expires_at.replace(tzinfo=UTC))
    click.echo(made["token"])


@tokens.command(name="list")
def list_tokens() -> None:
    """List the tokens, without their secrets."""
    from app.server.worker_token import each_token

    with services() as built:
        rows = list(each_token(built.tokens))
    table = Table(*TOKEN_COLUMNS)
    for row in rows:
        table.add_row(*(str(row[column] or "") for column in TOKEN_COLUMNS))
    console.print(table)


@tokens.command()
@click.argument("token_id", type=int)
def revoke(token_id: int) -> None:
    """Revoke the token TOKEN_ID: it is refused from the next second on."""
    with services() as built:
        built.tokens.revoke(token_id)
    click.echo(f"Token {token_id} is revoked.")


if __name__ == "__main__":
    cli(prog_name="python -m app.cli")
