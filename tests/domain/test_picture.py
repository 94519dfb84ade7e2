"""The picture: whole, safe to embed, and without labels that touch anything, for this table and for larger ones."""

import re
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import pytest

from app.domain import guards
from app.domain.picture.grid import merge, place
from app.domain.picture.layout import Layout, lay_out
from app.domain.picture.routes import Routes, pill_lines
from app.domain.picture.style import tone
from app.domain.picture.svg import as_svg
from app.domain.transitions import ENDS_OF_RUN, INITIAL, TABLE, BatchState, Kind, Transition

SVG = "{http://www.w3.org/2000/svg}"


def extra(trigger: str, source: str, target: str) -> Transition:
    """A row with states that the machine does not have."""
    return Transition(trigger, Kind.ACTION, (source,), target, guards.always, "for the test")  # type: ignore[arg-type]


TABLES = {
    "as it is": TABLE,
    "an eighth state beside the others": (
        *TABLE,
        extra("archive", "COMPLETED", "ARCHIVED"),
        extra("restore", "ARCHIVED", "SAVED"),
    ),
    "a review before the end": (
        *(replace(t, target="REVIEW") if t.trigger == "tasks_finished" else t for t in TABLE),  # type: ignore[arg-type]
        extra("accept", "REVIEW", "COMPLETED"),
        extra("reject", "REVIEW", "FAILED"),
    ),
    "more triggers on one arrow": (*TABLE, extra("give_up_for_good", "ANALYZING", "FAILED")),
    "one state less": (
        *(
            replace(t, sources=tuple(source for source in t.sources if source != "PAUSED"))
            for t in TABLE
            if t.trigger not in ("pause", "resume")
        ),
        extra("undo", "STAGED", "SAVED"),
    ),
}


def layout_of(table: tuple[Transition, ...]) -> Layout:
    arrows = merge(table)
    return lay_out(Routes(arrows, place(arrows, INITIAL, ENDS_OF_RUN)))


@pytest.fixture(scope="module", params=TABLES)
def table(request: pytest.FixtureRequest) -> tuple[Transition, ...]:
    return TABLES[request.param]


@pytest.fixture(scope="module")
def layout(table: tuple[Transition, ...]) -> Layout:
    return layout_of(table)


def test_no_label_touches_anything(layout: Layout) -> None:
    assert layout.flaws() == 0


def test_no_two_boxes_touch_and_all_is_on_the_card(layout: Layout) -> None:
    assert not [pair for pair in combinations(layout.boxes.values(), 2) if pair[0].meets(pair[1], 10)]
    for rect in (*layout.boxes.values(), *layout.labels.values()):
        assert rect.width / 2 <= rect.x <= layout.width - rect.width / 2
        assert rect.height / 2 <= rect.y <= layout.height - rect.height / 2


def test_no_two_lines_lie_on_each_other(layout: Layout) -> None:
    for (arrow, run), (other, crossed) in combinations(layout.runs(), 2):
        if arrow is not other and not run.meets(crossed):
            assert not run.meets(crossed, 3), f"{arrow.source}-{arrow.target}, {other.source}-{other.target}"


def test_lines_begin_and_end_at_their_boxes(table: tuple[Transition, ...], layout: Layout) -> None:
    assert {(a.source, a.target) for a in layout.lines} == {(s, t.target) for t in table for s in t.sources}
    for arrow, line in layout.lines.items():
        for state, (x, y) in ((arrow.source, line[0]), (arrow.target, line[-1])):
            box = layout.boxes[state]
            aside, above = abs(x - box.x) - box.width / 2, abs(y - box.y) - box.height / 2
            assert max(aside, above) == pytest.approx(0, abs=1e-6)


def test_a_line_passes_through_no_box(layout: Layout) -> None:
    for arrow, run in layout.runs():
        for state, box in layout.boxes.items():
            assert not run.meets(box), f"{arrow.source}-{arrow.target} runs over {state}"


def test_todays_picture_has_no_crossing_and_is_legible_at_800_pixels() -> None:
    layout = layout_of(TABLE)
    crossings = [1 for (a, run), (b, other) in combinations(layout.runs(), 2) if a is not b and run.meets(other)]
    assert not crossings
    assert 14 * 800 / layout.width > 10.5  # pixels of the smaller text


def test_the_same_table_gives_the_same_picture() -> None:
    assert layout_of(TABLE) == layout_of(TABLE)


def test_the_svg_names_every_state_and_trigger() -> None:
    root = ElementTree.fromstring(as_svg())
    assert root.tag == f"{SVG}svg"
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert sorted(text for text in texts if text.isupper()) == sorted(BatchState)
    for arrow in merge(TABLE):
        assert all(texts.count(row.trigger) >= 1 for row in arrow.triggers)
    pairs = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert sum(" to " in pair for pair in pairs) == len(merge(TABLE))


def test_the_svg_is_told_to_those_who_do_not_see_it() -> None:
    root = ElementTree.fromstring(as_svg())
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[1].tag == f"{SVG}desc"
    described = root[1].text or ""
    assert {root[0].get("id"), root[1].get("id")} == set((root.get("aria-labelledby") or "").split())
    assert all(word in described for word in (*BatchState, *(row.trigger for row in TABLE)))


def test_the_svg_has_no_script_and_loads_nothing() -> None:
    drawn = as_svg("PAUSED", [("SAVED", "STAGING")])
    tags = {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(drawn).iter()}
    assert tags <= {"svg", "title", "desc", "style", "g", "rect", "circle", "path", "polygon", "text", "tspan"}
    assert re.findall(r"https?://[^\"]+", drawn) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"href|url\(|@import|\bon\w+=|javascript:|<!", drawn)


def test_the_svg_has_a_dark_dress() -> None:
    style = as_svg()
    assert "@media (prefers-color-scheme:dark)" in style
    light, dark = (set(re.findall(r"(--[a-z-]+):", part)) for part in re.findall(r"\.il\{(--[^}]*)\}", style)[:2])
    assert light == dark == set(re.findall(r"var\((--[a-z-]+)\)", style))


def classes(drawn: str) -> list[tuple[str, ...]]:
    return [tuple((g.get("class") or "").split()) for g in ElementTree.fromstring(drawn).iter(f"{SVG}g")]


def test_the_present_state_and_the_way_gone_are_marked() -> None:
    assert not [css for css in classes(as_svg()) if {"current", "visited"} & set(css)]
    drawn = as_svg("FAILED", [("SAVED", "STAGING"), ("STAGING", "FAILED"), ("FAILED", "FAILED")])
    assert [css for css in classes(drawn) if "current" in css] == [("state", "bad", "current")]
    assert sorted(css for css in classes(drawn) if "visited" in css) == [
        ("action", "visited"),
        ("event", "visited"),
    ]


def test_no_state_is_no_present_state() -> None:
    with pytest.raises(ValueError, match="<script>"):
        as_svg("<script>")


def test_an_arrow_is_dashed_where_only_events_use_it() -> None:
    drawn = {
        title.text: group.get("class")
        for group in ElementTree.fromstring(as_svg()).iter(f"{SVG}g")
        for title in group.findall(f"{SVG}title")
    }
    assert drawn["STAGING to STAGED: staging_completed"] == "event"
    assert drawn["ANALYZING to FAILED: cancel, critical_error"] == "action"
    assert drawn["SAVED to SAVED: reset"] == "action"


def test_tones_follow_from_what_a_state_means() -> None:
    assert {state: tone(state) for state in BatchState} == {
        "SAVED": "plain",
        "STAGING": "work",
        "STAGED": "plain",
        "ANALYZING": "work",
        "PAUSED": "hold",
        "COMPLETED": "good",
        "FAILED": "bad",
    }


@pytest.mark.parametrize(
    ("trigger", "lines"),
    [
        ("run", ("run",)),
        ("tasks_finished", ("tasks_", "finished")),
        ("a_very_long_trigger", ("a_very_", "long_trigger")),
        ("withoutanyunderscore", ("withoutanyunderscore",)),
    ],
)
def test_long_triggers_break_where_room_is_scarce(trigger: str, lines: tuple[str, ...]) -> None:
    assert pill_lines(trigger, narrow=True) == lines
    assert pill_lines(trigger, narrow=False) == (trigger,)
