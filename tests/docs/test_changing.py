"""docs/changing.md names files and tests that exist; and what no other test notices when the table is changed."""

import hashlib
import re

from sqlalchemy import CheckConstraint

from app.domain.transitions import INITIAL, LEGAL_PAIRS
from app.models import Base
from tests.support.process import ROOT

PAGE = (ROOT / "docs" / "changing.md").read_text(encoding="utf-8")
RECIPES = ["Add an action or an event", "Add a state", "Add a column", "Add a setting", "Add a page", "Add a route"]
# The last migration that renewed the database's own rules, and the sum of these rules as it left them.
RENEWED_BY, RULES = "0019", "7cbdd04a7a436c5d"


def database_rules() -> str:
    """Sum up what the database enforces and Alembic does not compare: the legal pairs and the CHECK constraints."""
    checks = sorted(
        f"{table.name} {constraint.name}: {constraint.sqltext}"
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    )
    pairs = sorted(f"{source} {target}" for source, target in LEGAL_PAIRS)
    return hashlib.sha256("\n".join([str(INITIAL), *pairs, *checks]).encode()).hexdigest()[:16]


def test_every_recipe_is_there() -> None:
    assert [heading for heading in re.findall(r"^## (.+)$", PAGE, re.M) if heading.startswith("Add")] == RECIPES


def test_every_file_and_every_test_that_it_names_exists() -> None:
    named = set(
        re.findall(r"`((?:app|interlock|tests|docs|migrations|bench)/[\w/.-]+|config\.py|\w+\.md)(?:::(\w+))?`", PAGE)
    )
    assert len(named) > 30
    for path, test in sorted(named):
        assert (ROOT / path).exists(), path
        if test:
            assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def test_a_change_of_the_databases_rules_has_its_migration() -> None:
    """A new database gets today's rules from the first migration; an old one gets them by a migration of its own."""
    assert database_rules() == RULES, (
        "the legal pairs or a CHECK constraint changed: write a migration that renews them on an old database "
        f"(docs/changing.md), then put its number and {database_rules()!r} here"
    )
    assert list((ROOT / "migrations" / "versions").glob(f"{RENEWED_BY}_*.py"))
