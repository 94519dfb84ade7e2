"""Both clients are one text: `interlock/_sync` is what `interlock/generate.py` makes of `interlock/_async`."""

import re
import runpy

import pytest

from tests.support.process import ROOT

TEXTS = dict(runpy.run_path(str(ROOT / "interlock" / "generate.py"))["texts"]())


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_the_client_on_threads_is_written_from_the_one_on_asyncio(path) -> None:
    assert path.read_text() == TEXTS[path], "run: python interlock/generate.py"


def test_no_file_is_left_over() -> None:
    assert set((ROOT / "interlock" / "_sync").glob("*.py")) == set(TEXTS)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_nothing_of_asyncio_is_left_in_it(path) -> None:
    assert not re.search(r"\b(async|await|asyncio|Async\w+)\b", "".join(TEXTS[path].splitlines()[1:]))
