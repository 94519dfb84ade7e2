"""From a file of connections to handlers, under the names that the worker finds them by."""

from collections.abc import Iterator

from app.worker.connections.handler import ConnectionHandler
from app.worker.connections.settings import ANY_MODEL, READY_MADE, Connection, Connections
from app.worker.task import Handler


def handlers_of(connections: Connections) -> dict[str, Handler]:
    """Make one handler a connection: its limits hold for all its models, and for ready-made lines too."""
    found: dict[str, Handler] = {}
    for name, settings in connections.tables.items():
        handler = ConnectionHandler(name, settings, connections.keys.get(name, ""))
        for served in [name, *([READY_MADE] if connections.ready_made == name else [])]:
            found |= dict.fromkeys(_names(served, settings), handler)
    return found


def _names(connection: str, settings: Connection) -> Iterator[str]:
    """A connection that lists its models answers for them alone; otherwise for any."""
    if not settings.models or ANY_MODEL in settings.models:
        yield connection
    else:
        yield from (f"{connection}/{model}" for model in settings.models)
