"""The command `interlock`: the operators' commands, which call a service, and those of app/cli.py, which are one.

The latter are imported when one of them is called: they load the whole service.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from app.commands.any_call import api
from app.commands.batches import batches
from app.commands.completion import completion
from app.commands.lists import connections, requests, tasks, workers
from app.commands.manual import manual
from app.commands.right_words import naming_right_words
from app.commands.run import run
from app.commands.tokens import tokens
from app.commands.watching import wait, watch
from app.commands.webhooks import webhooks

OPERATORS = (
    batches,
    run,
    watch,
    wait,
    tasks,
    workers,
    connections,
    requests,
    tokens,
    webhooks,
    api,
    completion,
    manual,
)


class Commands(click.Group):
    """The operators' commands, and beside them those of the service. `tokens` is the operators'."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *(name for name in _service().commands if name not in self.commands)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, name) or _service().get_command(ctx, name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with naming_right_words():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with naming_right_words():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from app.cli import sentence_of

            if (sentence := sentence_of(error)) is None:
                raise
            raise click.ClickException(sentence) from error


def _service() -> click.Group:
    from app.cli import cli

    return cli


def _show_version(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        try:
            click.echo(version("interlock"))
        except PackageNotFoundError:
            click.echo("a checkout, which is not installed")
        ctx.exit()


@click.group(
    cls=Commands,
    commands=list(OPERATORS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Print it.")
def interlock() -> None:
    """Interlock decides what state a batch of model calls is in. Examples are in docs/command_line.md.

    Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 not signed in, 5 version conflict, 6 timeout, 7 service away.
    """


def main() -> None:
    """Run the command."""
    interlock(prog_name="interlock")


if __name__ == "__main__":
    main()
