"""The invariants of all tables, after each of thousands of tests: most of them in one statement."""

from sqlalchemy import Engine, text

from app.db import reading
from app.services.upkeep import verify as verification

_ANY_IS_BROKEN = text(f"SELECT {' OR '.join(f'EXISTS ({query})' for query in verification._CHECKS.values())}")


def broken_invariants(engine: Engine) -> list[str]:
    """Return what `verify` yields; it sends a statement for each invariant, which takes longer than many tests."""
    with reading(engine) as connection:
        if not connection.execute(_ANY_IS_BROKEN).scalar_one():
            return list(verification.verify_attempts_and_messages(connection))
    return list(verification.verify(engine))
