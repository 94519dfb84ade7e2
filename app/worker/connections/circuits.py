"""The circuits of a worker by the names of their connections, and what the worker can do, for a lease request."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from app.worker.connections.circuit import Circuit
from app.worker.connections.settings import READY_MADE
from app.worker.task import ConnectionClosed, Handler, Task

STAGE = "stage"


class Circuits:
    """Made from the handlers by their names (`openai`, `openai/gpt`). That of a model server has its own circuit."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._by_name: dict[str, Circuit] = {}
        for name, handler in handlers.items():
            connection = name.partition("/")[0]
            own: Circuit | None = getattr(handler, "circuit", None)
            if own or connection not in self._by_name:
                self._by_name[connection] = own or Circuit(connection)
        for circuit in self.all():
            circuit.names = [name for name, each in self._by_name.items() if each is circuit]

    def all(self) -> list[Circuit]:
        """List the circuits, each once."""
        return list(dict.fromkeys(self._by_name.values()))

    def can(self, stages: bool) -> list[str]:
        """Say what to lease, in the forms of the API: `stage`, `openai/*`, `openai/gpt`, `jsonl:/v1/embeddings`."""
        names = [STAGE] if stages else []
        offered = {circuit for circuit in self.all() if circuit.is_offered}
        for name, handler in self._handlers.items():
            if self._by_name[name.partition("/")[0]] in offered:
                names += _forms_of(name, handler)
        return names

    def takes(self, task: Task) -> bool:
        """Whether a task that was leased just now may be started; see Circuit.takes."""
        return (found := self._find(task)) is None or found[0].takes(task, found[1])

    def is_closed_for(self, task: Task) -> bool:
        """Whether a task that waits has to be released."""
        return (found := self._find(task)) is not None and found[0].is_closed_for(task, found[1])

    def ended(self, task: Task, handler: Handler | None, error: ConnectionClosed | None) -> None:
        """Note the end of a task. The circuits of settings follow their calls, the others follow their tasks."""
        if not (found := self._find(task)):
            return
        circuit, model = found
        follows_calls = getattr(handler, "circuit", None) is circuit
        if error and not follows_calls:
            self._by_name.get(error.connection, circuit).closed_by(task, model, error)
        circuit.ended(task, model, has_worked=not error and not follows_calls)

    def service_says(self, closed: Iterable[Mapping[str, Any]], asked_at: float) -> None:
        """Take over which circuits the service had closed when it answered a request of `asked_at`."""
        rows = list(closed)
        for circuit in self.all():
            own = {row.get("model"): row for row in rows if row.get("connection") in circuit.names}
            circuit.service_says(own, asked_at)

    def check(self, connections: Iterable[str], start_thread: Callable[[str, Callable[[], None]], object]) -> None:
        """Find out without a task whether connections work, each in a thread, and report it."""
        for circuit in {self._by_name[name] for name in connections if name in self._by_name}:
            check: Callable[[], None] | None = next(
                filter(None, map(partial(_check_of, circuit), self._handlers.values())), None
            )
            if check:
                start_thread(f"check {circuit.connection}", check)
            else:
                circuit.checked(None)  # only a task can tell

    def _find(self, task: Task) -> tuple[Circuit, str] | None:
        if task.kind != "ANALYZE":
            return None
        connection, model = task.target
        circuit = self._by_name.get(connection)
        return (circuit, model) if circuit else None


def _check_of(circuit: Circuit, handler: Handler) -> Callable[[], None] | None:
    """Find how to call a connection without a task."""
    return getattr(handler, "check", None) if getattr(handler, "circuit", None) is circuit else None


def _forms_of(name: str, handler: Handler) -> list[str]:
    """Write the name of a handler in the forms of the API."""
    if "/" in name:
        return [name]
    if name == READY_MADE:
        return [f"{READY_MADE}:{endpoint}" for endpoint in getattr(handler, "endpoints", ["*"])]
    return [f"{name}/*"]
