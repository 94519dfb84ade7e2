"""What this process may not do, whatever a library tries: reach a private address, start a program, write a file.

An audit hook sees each connection with the address that it is made to, after all names are resolved, so a name that
leads elsewhere a moment later changes nothing. It cannot be taken off again.
"""

import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any

from app.domain.webhook.addresses import Network, objection_to_address

MOST_MEMORY_BYTES = 1 << 30
_CONNECTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn"}


def install(allowed: Sequence[Network], seconds: float) -> list[str]:
    """Install the guard, for a process that ends after so many seconds; the answer fills with what it has refused."""
    signal.setitimer(signal.ITIMER_REAL, seconds)  # the signal ends the process
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    refused: list[str] = []

    def look(event: str, args: tuple[Any, ...]) -> None:
        objection = None
        if event in _CONNECTS:
            objection = _objection_to(args[1], allowed)
        elif event in _STARTS:
            objection = f"{event} is not allowed"
        if objection:
            refused.append(objection)
            raise PermissionError(objection)

    sys.addaudithook(look)
    return refused


def _objection_to(address: Any, allowed: Sequence[Network]) -> str | None:
    try:
        return objection_to_address(address[0], allowed)
    except (TypeError, ValueError, IndexError):  # a name, or the path of a socket
        return "A connection to what is no address is not allowed"
