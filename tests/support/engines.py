"""Engines that are used again: each keeps what SQLAlchemy has compiled, which takes longer than most tests."""

from collections import defaultdict
from collections.abc import Hashable

from sqlalchemy import Engine, event

from app import db
from config import Config

_make_engine = db.make_engine
_idle: dict[Hashable, list[Engine]] = defaultdict(list)


def engine_for(config: Config) -> Engine:
    """Make an engine, or take one with the same settings that was disposed of: as db.make_engine, with the work done.

    Its connections are new, and so are its listeners: they stand on a view of the engine which only the caller has.
    """
    idle = _idle[config, db.SQLITE_WAIT_SECONDS, db.STATEMENT_TIMEOUT_MS]
    engine = idle.pop() if idle else _make_engine(config)
    view = engine.execution_options()
    event.listen(view, "engine_disposed", lambda _: idle.append(engine), once=True)
    return view
