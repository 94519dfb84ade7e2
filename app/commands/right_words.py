"""What somebody could have meant who gives an option or a command that does not exist."""

from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def naming_right_words() -> Iterator[None]:
    """Add to such an error all options or commands that there are, unless click names similar ones."""
    try:
        yield
    except (click.NoSuchOption, click.NoSuchCommand) as error:
        if error.possibilities or error.ctx is None:
            raise
        kind = "options" if isinstance(error, click.NoSuchOption) else "commands"
        words = ", ".join(_right_words(error.ctx, kind))
        raise click.UsageError(f"{error.message} The {kind} are: {words}.", error.ctx) from error


def _right_words(ctx: click.Context, kind: str) -> list[str]:
    if kind == "commands":
        return ctx.command.list_commands(ctx) if isinstance(ctx.command, click.Group) else []
    options = (param for param in ctx.command.get_params(ctx) if isinstance(param, click.Option))
    return [name for option in options for name in (*option.opts, *option.secondary_opts) if name.startswith("--")]
