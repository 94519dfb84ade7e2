"""A request for a change, as every edge (HTTP, UI, CLI, queue of requests) hands it to BatchService."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from app.domain.roles import SYSTEM
from app.errors import Invalid

# What the edges know and say in the context; a caller may not name these.
RESERVED = ("actor", "role", "request_id", "if_version", "dry_run")
Answer = dict[str, Any]
Record = Callable[[Connection, Answer], None]


@dataclass(frozen=True)
class Order:
    """Who asks, with what; `record` keeps the answer in the deciding transaction (Idempotency-Key)."""

    actor: str = SYSTEM
    role: str = SYSTEM
    request_id: str | None = None
    if_version: int | None = None
    dry_run: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    record: Record | None = None

    @property
    def reason(self) -> str | None:
        reason = self.context.get("reason")
        return None if reason is None else str(reason)

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> "Order":
        """Make an order of a context as contract 3 describes it. Raises Invalid."""
        if not isinstance(context, Mapping):
            raise Invalid("context has to be an object.", errors={"context": ["not an object"]})
        if_version = context.get("if_version")
        if if_version is not None and (isinstance(if_version, bool) or not isinstance(if_version, int)):
            raise Invalid("if_version has to be a whole number.", errors={"if_version": ["not a number"]})
        return cls(
            actor=str(context.get("actor") or SYSTEM),
            role=str(context.get("role") or SYSTEM),
            request_id=context.get("request_id"),
            if_version=if_version,
            dry_run=bool(context.get("dry_run", False)),
            context={key: value for key, value in context.items() if key not in RESERVED},
        )
