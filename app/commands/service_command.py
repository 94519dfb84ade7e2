"""A command that calls the service: its common options, its client, and its exit code."""

import os
from functools import cached_property
from typing import Any

import click

from app.commands.exit_codes import Ended, exit_code_of, sentence_of
from app.commands.output import FORMS, Output
from app.commands.profiles import Service, service_of
from app.server.admin_token import KEPT_TOKEN
from interlock import Client
from interlock.errors import InterlockError

RETRY_SECONDS = 10.0
FLAGS = ("output", "url", "token_file", "profile")


class Call:
    """What a command needs: the client, opened at its first use, and the output."""

    def __init__(self, flags: dict[str, str | None]) -> None:
        self._flags = flags

    @cached_property
    def service(self) -> Service:
        return service_of(self._flags, os.environ, KEPT_TOKEN)

    @cached_property
    def client(self) -> Client:
        try:
            return Client(self.service.url, self.service.token, retry_seconds=RETRY_SECONDS)
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    @cached_property
    def output(self) -> Output:
        return Output(self.service.output)

    def close(self) -> None:
        """Close the connections, if there are any."""
        if "client" in self.__dict__:
            self.client.close()


class ServiceCommand(click.Command):
    """Adds the common options, gives the callback a Call as its first argument, and ends with the right code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(["-o", "--output"], type=click.Choice(FORMS), help="Default: table, or jsonl in a pipe."),
            click.Option(["--url"], help="The service. Default: INTERLOCK_URL, the profile, http://127.0.0.1:5000."),
            click.Option(["--token-file"], help="The file of the token. Default: INTERLOCK_TOKEN, or the profile."),
            click.Option(["--profile"], help="A profile of ~/.config/interlock/config.toml."),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        call = Call({name: ctx.params.pop(name, None) for name in FLAGS})
        ctx.obj = call
        try:
            return super().invoke(ctx)
        except InterlockError as failure:
            raise Ended(sentence_of(failure), exit_code_of(failure)) from failure
        finally:
            call.close()


class ServiceGroup(click.Group):
    """A group of commands that call the service."""

    command_class = ServiceCommand


pass_call = click.make_pass_decorator(Call)
