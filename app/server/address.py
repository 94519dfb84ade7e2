"""Where the server listens, and how a program on this machine reaches it."""

import os
import socket

from config import Config

BACKLOG = 1024
EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class CannotListen(Exception):
    """The address is not to be had; the message is the sentence for the operator."""


def take_port(host: str, port: int) -> socket.socket:
    """Listen on the address; raises CannotListen, in one sentence, where that is not possible."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # A failed look-up of a name has numbers of its own, below zero.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise CannotListen(
            f"Cannot listen on {host}:{port}: {reason}. Set HOST and PORT to another address."
        ) from error


def base_url(config: Config) -> str:
    """The address for programs and browsers on this machine, without a slash at the end."""
    host = EVERY_ADDRESS.get(config.host, config.host)
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"
