"""What the context of `stage` and `restage` says of earlier answers."""

from typing import Any

import pytest

from app.domain import reuse
from app.domain.reuse import Redo, parse, redo_of
from app.errors import Invalid


@pytest.mark.parametrize(
    ("context", "kept", "redo"),
    [
        ({}, None, None),
        ({"reason": "again", "ticket": 7}, None, None),
        ({"reuse": None, "redo": None}, None, None),
        ({"reuse": "none"}, {"reuse": "none"}, Redo()),
        ({"redo": {"models": ["m"]}}, {"redo": {"models": ["m"]}}, Redo(models=frozenset(["m"]))),
        (
            {"redo": {"prompts": ["p", "q"], "status": ["FAILED"]}},
            {"redo": {"prompts": ["p", "q"], "status": ["FAILED"]}},
            Redo(prompts=frozenset(["p", "q"]), status=frozenset(["FAILED"])),
        ),
    ],
)
def test_what_is_kept_for_the_run(context: dict[str, Any], kept: dict[str, Any] | None, redo: Redo | None) -> None:
    assert parse(context) == kept
    assert redo_of(kept) == redo


@pytest.mark.parametrize(
    ("redo", "taken"),
    [
        (Redo(), [True, True, True]),
        (Redo(models=frozenset(["m"])), [True, True, False]),
        (Redo(models=frozenset(["local/m"])), [True, False, False]),
        (Redo(models=frozenset(["org/m"])), [False, False, True]),
        (Redo(models=frozenset(["away/org/m"])), [False, False, True]),
        (Redo(prompts=frozenset(["q"])), [False, True, False]),
        (Redo(prompts=frozenset(["q"]), models=frozenset(["local/m"])), [False, False, False]),
        (Redo(status=frozenset(["FAILED"])), [True, True, True]),
    ],
)
def test_a_redo_takes_what_matches_every_list(redo: Redo, taken: list[bool]) -> None:
    asked = [("p", "local", "m"), ("q", "away", "m"), ("p", "away", "org/m")]
    assert [redo.takes(*each) for each in asked] == taken


def test_names_are_held_against_the_batch() -> None:
    prompts, models = ["p"], [("local", "m")]
    reuse.check(None, prompts, models)
    reuse.check(Redo(frozenset(["m", "local/m"]), frozenset(["p"])), prompts, models)
    with pytest.raises(
        Invalid, match=r"context\.redo\.models has the unknown name 'local/p'; the known names are: local/m, m\."
    ) as refused:
        reuse.check(Redo(models=frozenset(["local/p", "m"])), prompts, models)
    assert list(refused.value.facts["errors"]["context"]["redo"]) == ["models"]


def test_a_refusal_names_a_part_of_many() -> None:
    with pytest.raises(Invalid) as refused:
        reuse.check(Redo(prompts=frozenset(["p"])), [f"p{number}" for number in range(1_000)], [])
    assert len(refused.value.detail) < 300
