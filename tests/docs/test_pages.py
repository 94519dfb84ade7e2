"""Links lead somewhere, commands exist, decisions are short, and one page lists them all."""

import re
from pathlib import Path

import click
import pytest

from app.cli import cli
from tests.docs.blocks import parts_of
from tests.support.process import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
DECISIONS = sorted((DOCS / "adr").glob("*.md"))
SHOWN = [str(page.relative_to(ROOT)) for page in PAGES]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=SHOWN)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} links {target}"
        assert not anchor or anchor in anchors(found), f"{page.name} links {target}"


@pytest.mark.parametrize("page", PAGES, ids=SHOWN)
def test_no_page_leads_out_of_the_checkout(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s#]+)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).resolve().is_relative_to(ROOT), f"{page.name} links {target}"
    assert "shared/contract" not in page.read_text()


@pytest.mark.parametrize("page", PAGES, ids=SHOWN)
def test_every_command_exists(page: Path) -> None:
    text = page.read_text()
    words = re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"(?:`|^)(?:[A-Z_]+=\S+ )*make (\w+)", text, re.M)) <= set(words)
    for command in re.findall(r"python -m app\.cli ([a-z-]+)", text):
        assert command in cli.commands, f"{page.name} prints {command}"
    for command in re.findall(r"app\.cli tokens ([a-z]+)", text):
        tokens = cli.commands["tokens"]
        assert isinstance(tokens, click.Group)
        assert command in tokens.commands


def test_the_readme_is_short_and_begins_with_an_answer() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    first = next(part for part in parts_of(ROOT / "README.md") if part.kind == "http")
    assert first.line < 20


def test_every_page_of_docs_is_listed() -> None:
    listed = set(re.findall(r"\]\(([^)#]+)\)", (DOCS / "README.md").read_text()))
    there = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    assert there <= listed


@pytest.mark.parametrize("decision", DECISIONS, ids=[decision.name for decision in DECISIONS])
def test_a_decision_is_short_and_whole(decision: Path) -> None:
    text = decision.read_text()
    number = int(decision.name[:4])
    assert text.startswith(f"# {number}. ")
    assert len(text.splitlines()) < 50
    said = [text.find(f"**{part}.**") for part in ("Context", "Decision", "Consequences")]
    assert -1 not in said
    assert said == sorted(said)


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(decision.name[:4]) for decision in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_changelog_has_what_is_not_released_on_top() -> None:
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert versions[0] == "Unreleased"
