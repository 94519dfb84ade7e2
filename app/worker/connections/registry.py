"""Makes the handlers of the connections, under the names by which the worker finds them."""

from collections.abc import Iterator

from app.worker.connections.handler import ConnectionHandler
from app.worker.connections.settings import ANY_MODEL, READY_MADE, Connection, Connections
from app.worker.task import Handler


def handlers_of(connections: Connections) -> dict[str, Handler]:
    """Make one handler for each connection: all its models and the ready-made tasks share its rate limits."""
    found: dict[str, Handler] = {}
    for name, settings in connections.tables.items():
        handler = ConnectionHandler(name, settings, connections.keys.get(name, ""))
        for served in [name, *([READY_MADE] if connections.ready_made == name else [])]:
            found |= dict.fromkeys(_names(served, settings), handler)
    return found


def _names(connection: str, settings: Connection) -> Iterator[str]:
    """Yield the names of a connection: one for each listed model, or the connection's own if any model is served."""
    if not settings.models or ANY_MODEL in settings.models:
        yield connection
    else:
        yield from (f"{connection}/{model}" for model in settings.models)
