"""The address on which the server listens, and the URL by which programs on this machine reach it."""

import os
import socket

from config import Config

BACKLOG = 1024
LOCAL_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class CannotListen(Exception):
    """The server cannot listen on its address. The message is a sentence for the operator."""


def open_port(host: str, port: int) -> socket.socket:
    """Listen on the address. Raises CannotListen."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # The error numbers of a failed name look-up are below zero, and strerror does not know them.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise CannotListen(
            f"Cannot listen on {host}:{port}: {reason}. Set HOST and PORT to another address."
        ) from error


def base_url(config: Config) -> str:
    """Return the URL for programs and browsers on this machine, without a slash at its end."""
    host = LOCAL_ADDRESS.get(config.host, config.host)
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"
