"""What a worker can do: the forms of `can`, and which tasks it gets."""

import pytest

from app.domain.connection.abilities import Abilities, Target, is_unknown, objection_to_ability
from app.domain.leases import TaskKind

STAGING = Target(TaskKind.STAGE)
GPT, NESTED = (Target(TaskKind.ANALYZE, "openai", model) for model in ("gpt-5", "a/b"))
OTHER = Target(TaskKind.ANALYZE, "local", "m")
LINE = Target(TaskKind.ANALYZE, "jsonl", "gpt-5", "/v1/embeddings")
UNKNOWN = Target(TaskKind.ANALYZE)  # a task of an earlier release
ALL = [STAGING, GPT, NESTED, OTHER, LINE, UNKNOWN]


@pytest.mark.parametrize(
    ("can", "taken"),
    [
        (None, ALL),
        ([], []),
        (["stage"], [STAGING]),
        (["openai/*"], [GPT, NESTED, UNKNOWN]),
        (["openai/gpt-5"], [GPT, UNKNOWN]),
        (["openai/a/b"], [NESTED, UNKNOWN]),
        (["local/n"], [UNKNOWN]),
        (["jsonl:*"], [LINE, UNKNOWN]),
        (["jsonl:/v1/embeddings"], [LINE, UNKNOWN]),
        (["jsonl:/v1/responses"], [UNKNOWN]),
        (["jsonl/gpt-5"], [LINE, UNKNOWN]),
        (["jsonl/*"], [LINE, UNKNOWN]),
        (["jsonl/textstats"], [UNKNOWN]),
        (["stage", "local/m"], [STAGING, OTHER, UNKNOWN]),
    ],
)
def test_which_tasks_a_worker_gets(can: list[str] | None, taken: list[Target]) -> None:
    assert [each for each in ALL if Abilities(can).takes(each)] == taken


@pytest.mark.parametrize("text", ["stage", "openai/*", "openai/gpt-5", "a/b/c", "jsonl:*", "jsonl:/v1/x", "jsonl/m"])
def test_a_known_form(text: str) -> None:
    assert objection_to_ability(text) is None


@pytest.mark.parametrize("text", ["", "*", "stages", "openai", "openai/", "/gpt-5", "jsonl:", "jsonl", "openai:*"])
def test_any_other_text(text: str) -> None:
    assert "has to be" in (objection_to_ability(text) or "")


@pytest.mark.parametrize(
    ("can", "connection", "model", "reached"),
    [
        (None, "openai", None, True),
        (["openai/gpt-5"], "openai", None, True),
        (["openai/gpt-5"], "openai", "gpt-5", True),
        (["openai/gpt-5"], "openai", "gpt-4", False),
        (["openai/*"], "openai", "gpt-4", True),
        (["openai/*"], "open", None, False),
        (["jsonl:/v1/embeddings"], "jsonl", "gpt-4", True),
        (["jsonl/gpt-5"], "jsonl", None, True),
        (["stage"], "jsonl", None, False),
    ],
)
def test_which_connections_a_worker_calls(can: list[str] | None, connection: str, model: str, reached: bool) -> None:
    assert Abilities(can).reaches(connection, model) is reached


def test_the_names_of_its_connections() -> None:
    can = ["stage", "openai/gpt-5", "openai/gpt-4", "jsonl:*", "local/m"]
    assert Abilities(can).connections == {"openai", "jsonl", "local"}
    assert Abilities(None).connections == frozenset()


@pytest.mark.parametrize(
    ("known", "refused"),
    [
        ([], False),  # no worker is known
        ([["jsonl:/v1/responses"]], True),
        ([["jsonl:/v1/responses"], ["jsonl:/v1/embeddings"]], False),
        ([["jsonl:/v1/responses"], ["jsonl/gpt-5"]], False),
        ([["jsonl:/v1/responses"], ["jsonl/textstats"]], True),
        ([["jsonl:/v1/responses"], None], False),  # one that does not say what it can do
        ([["stage", "jsonl/textstats"]], False),  # nobody says which endpoints it answers
    ],
)
def test_a_line_that_no_worker_answers(known: list[list[str] | None], refused: bool) -> None:
    assert is_unknown(LINE, [Abilities(can) for can in known]) is refused
