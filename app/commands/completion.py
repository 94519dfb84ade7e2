"""`completion`: the script that completes commands, flags and states in a shell."""

import click
from click.shell_completion import get_completion_class

PROGRAM, VARIABLE = "interlock", "_INTERLOCK_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion for a shell.

    \b
    bash: eval "$(interlock completion bash)"   in ~/.bashrc
    zsh:  eval "$(interlock completion zsh)"    in ~/.zshrc, after compinit
    fish: interlock completion fish > ~/.config/fish/completions/interlock.fish
    """
    if kind := get_completion_class(shell):
        click.echo(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
