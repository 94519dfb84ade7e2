"""docs/states.md and docs/states.svg are what the code says, whole."""

from pathlib import Path

from app.domain.failures import MESSAGES
from app.domain.picture.diagram import as_svg
from app.domain.states_doc import states_doc
from app.domain.transitions import TABLE, BatchState

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_written_from_the_code() -> None:
    assert (DOCS / "states.md").read_text(encoding="utf-8") == states_doc(), (
        "run: python -m app.domain.states_doc > docs/states.md"
    )


def test_the_picture_is_drawn_from_the_code() -> None:
    assert (DOCS / "states.svg").read_text(encoding="utf-8") == as_svg(), (
        "run: python -m app.domain.picture > docs/states.svg"
    )


def test_the_page_names_every_state_trigger_and_failure_code() -> None:
    page = states_doc()
    for row in TABLE:
        assert f"| `{row.trigger}` | {row.kind} | {', '.join(row.sources)} | {row.target} |" in page
        assert row.meaning in page
    for state in BatchState:
        assert page.count(f"\n| {state} | ") == 2  # what entering it does; where work is handed out
    assert all(f"| `{code}` | " in page for code in MESSAGES)
    assert page.count("| - | ") > 0
    assert "{" not in page
