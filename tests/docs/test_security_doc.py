"""Every row of docs/security.md names tests that exist."""

import ast
import re
from functools import cache

import pytest

from tests.support.process import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:\w+/)*test_\w+)(?:::(test_\w+))?`", TEXT.split("## Who is trusted", 1)[1])))
RISKS = [f"API{number}" for number in range(1, 11)]


@cache
def functions_of(path: str) -> set[str]:
    """The names of the tests in a file below tests."""
    tree = ast.parse((ROOT / "tests" / f"{path}.py").read_text())
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str) -> None:
    assert functions_of(path)
    assert not name or name in functions_of(path)


@pytest.mark.parametrize(
    "heading", ["Promises against hostile callers", "OWASP API Security Top 10 2023", "OWASP ASVS 5.0"]
)
def test_every_row_names_a_test(heading: str) -> None:
    table = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 10
    assert [row for row in rows if not re.search(r"`(?:\w+/)*test_\w+", row.split(" | ")[-1])] == []


def test_every_risk_has_its_row() -> None:
    assert re.findall(r"^\| (API\d+) ", TEXT, re.M) == RISKS
