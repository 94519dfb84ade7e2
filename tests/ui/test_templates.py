"""The templates: what they read of a batch is in its view."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, is_typeddict

import pytest
from jinja2 import Environment, nodes

from app.services.batch.batch_view import BatchView

ROOT = Path(__file__).parents[2] / "app" / "ui" / "templates"
TEMPLATES = sorted(ROOT.rglob("*.html"))
BESIDE_THE_VIEW = {"allowed", "reason", "effect", "shown"}  # of batches that an action is requested for together


def names_read(source: str, root: str) -> Iterator[list[str]]:
    """Find the attributes that a template reads of a variable: `batch.usage.cost` gives ["usage", "cost"]."""
    for node in Environment().parse(source).find_all(nodes.Getattr):
        path: list[str] = []
        inner: nodes.Node = node
        while isinstance(inner, nodes.Getattr):
            path.insert(0, inner.attr)
            inner = inner.node
        if isinstance(inner, nodes.Name) and inner.name == root:
            yield path


def missing(path: list[str], view: Any) -> str | None:
    """Find the first name of a path that a view (a TypedDict, perhaps optional) does not have."""
    for name in path:
        view = next((each for each in (view, *get_args(view)) if is_typeddict(each)), None)
        if view is None:
            return None
        if name not in view.__annotations__:
            return name
        view = view.__annotations__[name]
    return None


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_reads_of_a_batch_what_its_view_has(path: Path) -> None:
    read = names_read(path.read_text(), "batch")
    assert {name for each in read if (name := missing(each, BatchView))} <= BESIDE_THE_VIEW


def test_the_search_finds() -> None:
    source = "{% if batch.usage.cost %}{{ batch.failure.reason }} {{ batch.nam | e }} {{ run.batch.x }}{% endif %}"
    found = [missing(path, BatchView) for path in names_read(source, "batch")]
    assert sorted(filter(None, found)) == ["nam", "reason"]


def test_batches_are_read_somewhere() -> None:
    assert sum(len(list(names_read(path.read_text(), "batch"))) for path in TEMPLATES) > 20
