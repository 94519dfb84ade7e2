"""The command line, `python -m app.cli`: runs the service, and administers its database.

Only `demo` uses HTTP, as any other client does. The other commands use the services directly.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from environs import EnvValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from app import db, schema
from app.domain.roles import Role
from app.errors import Refusal
from app.logging import configure
from app.server.address import CannotListen, base_url, no_proxy_for
from app.server.cleanup import metrics_folder
from app.server.demo_service import NoService, service_for_demo
from app.server.sqlite_file import NotPossible
from config import Config

if TYPE_CHECKING:
    from app.services import Services

# The services are imported inside the commands: they import prometheus_client, and `serve` must make the folder for
# the metrics before that.

console = Console(width=None if sys.stdout.isatty() else 160)  # in a pipe, wide enough that rows are not wrapped
TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
INTERRUPTED = 130  # the exit code after Ctrl-C
TOKEN_COLUMNS = ("id", "name", "role", "created_at", "expires_at")


class Age(click.ParamType[timedelta]):
    """How long ago: a number of days or hours, as 30d or 12h."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        amount, unit = str(value)[:-1], str(value)[-1:]
        if not (amount.isascii() and amount.isdecimal() and len(amount) < 6 and unit in ("d", "h")):
            self.fail(f"{value!r} is no age: write a number of days or hours, as 30d or 12h.", param, ctx)
        return timedelta(days=int(amount)) if unit == "d" else timedelta(hours=int(amount))


class PlainErrors(click.Group):
    """A group of commands that report every expected error in one sentence, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if (sentence := sentence_of(error)) is None:
                raise
            raise click.ClickException(sentence) from error


def sentence_of(error: Exception) -> str | None:
    """Say in one sentence what an expected error means; None for any other."""
    if isinstance(error, EnvValidationError):
        messages: Any = error.error_messages  # sentences by the name of the setting
        wrong = [f"{name}: {' '.join(sentences)}" for name, sentences in messages.items()]
        return f"Wrong settings: {'; '.join(wrong)}"
    if isinstance(error, ArgumentError | NoSuchModuleError):
        return f"Wrong settings: DATABASE_URL: {error}"
    if isinstance(error, Refusal):
        cause = str(getattr(error.__cause__, "orig", "") or "").splitlines()
        return " ".join([error.detail, *cause[:1]])
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return f"{error.strerror or error}: {error.filename or ''}"
    return str(error) if isinstance(error, CannotListen | NoService | NotPossible) else None


@contextmanager
def services() -> Iterator["Services"]:
    """Build the services for one command, with the settings of the environment."""
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
    """Interlock decides the state of every batch. Settings are environment variables: see docs/operating.md."""


@cli.command()
def serve() -> None:
    """Migrate the database and run the service, until SIGTERM or Ctrl-C.

    It listens on HOST:PORT with WORKERS processes, and runs one queue worker unless EMBEDDED_WORKER=0.
    """
    config = Config.from_environment()
    with metrics_folder():
        from app.server.serve import serve as serve_until_stopped

        serve_until_stopped(config)


@cli.command(name="sign-in-link")
def sign_in_link() -> None:
    """Print an address that signs a browser in as admin of the running service, once and within an hour."""
    from app.server.sign_in_link import sign_in_url

    with db.translated_errors():
        click.echo(sign_in_url(Config.from_environment()))


@cli.command()
@click.argument("revision", default="head")
@click.option("--down", is_flag=True, help="Migrate down to REVISION instead of up.")
def migrate(revision: str, down: bool) -> None:
    """Migrate the database to REVISION (default: the newest). `serve` does this at its start."""
    config = Config.from_environment()
    with db.translated_errors():
        schema.migrate(config.database_url, revision, downgrade=down)
    click.echo(f"The database is at {revision}.")


@cli.command()
def verify() -> None:
    """Check every batch against its audit trail and the transition table; exit with 1 if they contradict."""
    from app.services.upkeep.verify import verify as find_contradictions

    with services() as built:
        findings = list(find_contradictions(built.engine))
    for finding in findings:
        click.echo(finding)
    if findings:
        raise click.ClickException(f"{len(findings)} contradictions.")
    click.echo("No contradictions.")


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write a backup of the SQLite database to FILE, beside the running service. For PostgreSQL use pg_dump."""
    from app.server.backup import backup as write_backup

    config = Config.from_environment()
    with pages_shown("Copying") as progress:
        write_backup(config.database_url, file, progress)
    click.echo(f"The backup is in {file}.")


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask before batches are replaced.")
@click.pass_context
def restore(ctx: click.Context, file: Path, yes: bool) -> None:
    """Replace the SQLite database by the backup in FILE, migrate it, and verify it. The service must be stopped."""
    from app.server.backup import batches_in
    from app.server.backup import restore as read_backup

    config = Config.from_environment()
    amount = batches_in(config.database_url)
    if amount and not yes:
        click.confirm(f"Replace the present database, with its {amount} batches?", abort=True)
    with db.translated_errors(), pages_shown("Copying") as progress:
        read_backup(config.database_url, file, progress)
    click.echo(f"The database is that of {file}.")
    ctx.invoke(verify)


@contextmanager
def pages_shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar, on a terminal, for what calls the function with the pages that are done, and with all of them."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


@cli.command()
@click.option("--archived-before", "age", type=Age(), required=True, help="How long ago, as 30d or 12h: 0d for all.")
@click.option("--batch", "batch_id", type=int, help="Purge only this batch.")
@click.option("--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
@click.option("--rewrite", is_flag=True, help="SQLite: write the file anew at the end. The service must be stopped.")
def purge(age: timedelta, batch_id: int | None, dry_run: bool, rewrite: bool) -> None:
    """Delete all content of archived batches; their rows, counts and audit trails stay.

    It may run beside the service, which does not wait for it. Ctrl-C ends it after the present slice; what is left is
    deleted by the service, or by the next purge.
    """
    try:
        from app.server.purging import purge_batches

        with services() as built:
            purge_batches(built, console, age, batch_id, dry_run=dry_run, rewrite=rewrite)
    except KeyboardInterrupt:
        console.print("Interrupted. What is left is deleted by the service, or by the next purge.")
        sys.exit(INTERRUPTED)


@cli.command()
@click.option("--url", envvar="INTERLOCK_URL", help="The service to use. Default: INTERLOCK_URL, or HOST:PORT.")
@click.option(
    "--token", envvar="INTERLOCK_TOKEN", help="An operator's token. INTERLOCK_TOKEN is better: `ps` shows options."
)
def demo(url: str | None, token: str | None) -> None:
    """Stage and run a batch of sample documents; print its results and its audit trail.

    It uses the service at --url, or the service at HOST:PORT; if none answers there, it starts a temporary one.
    """
    from app.demo.run import run_demo

    config = Config.from_environment()
    os.environ.update(no_proxy_for(base_url(config), os.environ))
    with service_for_demo(url, token, config) as found:
        exit_code = run_demo(found.url, found.token, console)
    sys.exit(exit_code)


@cli.group()
def tokens() -> None:
    """Create, list and revoke API tokens."""


@tokens.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What the token allows.")
@click.option("--expires-at", type=TIMES, metavar="TIME", help="In UTC, as 2027-01-31T12:00:00. Default: never.")
def create(name: str, role: str, expires_at: datetime | None) -> None:
    """Create a token for NAME and print it. It is not shown again."""
    with services() as built:
        made = built.tokens.create(name, role, expires_at and expires_at.replace(tzinfo=UTC))
    click.echo(made["token"])


@tokens.command(name="list")
def list_tokens() -> None:
    """List the tokens without their secrets."""
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
    """Revoke the token TOKEN_ID. Within a second, the service refuses it."""
    with services() as built:
        built.tokens.revoke(token_id)
    click.echo(f"Token {token_id} is revoked.")


if __name__ == "__main__":
    cli(prog_name="python -m app.cli")
