"""`manual`: the manual page of `interlock`, made from the help of its commands."""

from collections.abc import Iterator

import click

WIDEST = 70


@click.command()
@click.pass_context
def manual(ctx: click.Context) -> None:
    """Print the manual page, as in: interlock manual > /usr/local/share/man/man1/interlock.1"""
    click.echo("\n".join(_page(ctx.find_root())))


def _page(root: click.Context) -> Iterator[str]:
    program = root.command
    yield '.TH INTERLOCK 1 "" Interlock "Commands of Interlock"'
    yield ".SH NAME"
    yield "interlock \\- decide what state a batch of model calls is in"
    yield ".SH SYNOPSIS"
    yield ".B interlock"
    yield "COMMAND [ARGUMENTS]"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(program.help or "")
    yield ".SH COMMANDS"
    yield from _commands(program, root, "interlock")


def _commands(group: click.Command, context: click.Context, path: str) -> Iterator[str]:
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        if command := group.get_command(context, name):
            inner = click.Context(command, parent=context, info_name=name)
            if isinstance(command, click.Group):
                yield from _commands(command, inner, f"{path} {name}")
            else:
                yield from _command(command, inner, f"{path} {name}")


def _command(command: click.Command, context: click.Context, path: str) -> Iterator[str]:
    words = " ".join(word for word in command.collect_usage_pieces(context) if word != "[OPTIONS]")
    yield f".SS {_roff(f'{path} {words}'.strip())}"
    yield from _paragraphs(command.help or "")
    for option in command.params:
        if isinstance(option, click.Option) and (record := option.get_help_record(context)):
            written, text = record
            if len(written) > WIDEST and isinstance(option.type, click.Choice):  # roff cannot break it
                written, text = f"{', '.join(option.opts)} NAME", f"{text} One of: {', '.join(option.type.choices)}."
            yield ".TP"
            yield f".B {_roff(written)}"
            yield _roff(text)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.replace("\b\n", "").split("\n\n"):
        yield ".PP"
        yield _roff(" ".join(paragraph.split()))


def _roff(text: str) -> str:
    """Write a text so that roff takes nothing of it for a command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
