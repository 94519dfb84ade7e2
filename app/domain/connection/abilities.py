"""What a task needs of a worker (its target), and what a worker can do (its abilities), as `can` of a lease says."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from app.domain.leases import TaskKind

STAGE = "stage"
LINES = "jsonl"  # the name of the connection that answers ready-made lines
ANY = "*"
MOST_ABILITIES, LONGEST_ABILITY = 1_000, 300
_LINES = f"{LINES}:"
_FORMS = f'"{STAGE}", "<connection>/<model>", "<connection>/{ANY}", "{_LINES}<endpoint>" or "{_LINES}{ANY}"'


class Target(NamedTuple):
    """What a task needs: staging, a model of a connection, or an endpoint and a model for a ready-made line.

    An analysis task without a connection was written by an earlier release: every worker that calls models may try it.
    """

    kind: TaskKind
    connection: str | None = None
    model: str | None = None
    endpoint: str | None = None  # of a ready-made line


def objection_to_ability(text: str) -> str | None:
    """Say why a text of `can` has none of the known forms, or None."""
    connection, _, model = text.partition("/")
    if text == STAGE or text.removeprefix(_LINES) not in ("", text) or (connection and model):
        return None
    return f"has to be {_FORMS}"


class Abilities:
    """What a worker can do: all of `can`, whose texts have no objection; None stands for everything."""

    def __init__(self, can: Iterable[str] | None = None) -> None:
        self.can = None if can is None else frozenset(can)

    def takes(self, target: Target) -> bool:
        """Whether the worker can do a task with this target."""
        if self.can is None:
            return True
        if target.kind == TaskKind.STAGE:
            return STAGE in self.can
        if target.connection is None:
            return bool(self.can - {STAGE})
        forms = {f"{target.connection}/{target.model}", f"{target.connection}/{ANY}"}
        if target.endpoint is not None:
            forms |= {f"{_LINES}{target.endpoint}", f"{_LINES}{ANY}"}
        return not self.can.isdisjoint(forms)

    def reaches(self, connection: str, model: str | None = None) -> bool:
        """Whether the worker calls a connection (and this model of it, unless None) for any task at all."""
        if self.can is None:
            return True
        if connection == LINES and self.names_endpoints:
            return True
        if model is not None:
            return not self.can.isdisjoint((f"{connection}/{model}", f"{connection}/{ANY}"))
        return any(each.startswith(f"{connection}/") for each in self.can)

    @property
    def names_endpoints(self) -> bool:
        """Whether the worker says for which endpoints it answers ready-made lines."""
        return self.can is not None and any(each.startswith(_LINES) for each in self.can)

    @property
    def connections(self) -> frozenset[str]:
        """The names of the connections; none if it can do everything, since then they are not named."""
        named = (self.can or frozenset()) - {STAGE}
        return frozenset(LINES if each.startswith(_LINES) else each.partition("/")[0] for each in named)

    @property
    def models(self) -> frozenset[tuple[str, str]]:
        """The models that are named, each with its connection; a connection that takes any model names none."""
        pairs = (each.partition("/") for each in self.can or () if "/" in each and not each.startswith(_LINES))
        return frozenset((connection, model) for connection, _, model in pairs if model != ANY)


def is_unknown(target: Target, known: Collection[Abilities]) -> bool:
    """Whether no worker answers a ready-made line, as far as the known workers say what they can do.

    They say enough if each of them says what it can do, and one of them for which endpoints it answers lines.
    """
    says_enough = all(each.can is not None for each in known) and any(each.names_endpoints for each in known)
    return says_enough and not any(each.takes(target) for each in known)
