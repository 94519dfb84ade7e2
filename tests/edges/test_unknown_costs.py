"""Calls whose cost is not known: shown wherever a cost is shown, and a run with a limit of cost is paused."""

import pytest

from tests.edges.answers_of_servers import FINE, USAGE, chat
from tests.edges.conftest import Edge
from tests.edges.scripted_server import Reply
from tests.support.waiting import LIMIT_SECONDS

UNCOUNTED = Reply({name: value for name, value in chat("Four.").items() if name != "usage"})


@pytest.mark.parametrize(
    ("connection", "reply"), [("lab", UNCOUNTED), ("unpriced", FINE)], ids=["no usage", "no price"]
)
def test_a_limit_of_cost_pauses_what_has_no_known_cost(edge: Edge, connection: str, reply: Reply) -> None:
    names = [f"costs {connection} {number}" for number in range(100)]
    edge.models.replies |= {name: [reply] for name in names}
    batch = edge.batch(names, connection, options={"max_cost": 1000})
    batch.reach("PAUSED")
    pause = batch.list_all("audit")[-1]
    assert (pause["trigger"], pause["actor"]) == ("pause", "system:breaker")
    assert "not known" in pause["reason"]
    assert "max_cost" in pause["reason"]
    assert batch.show()["usage"]["unpriced_calls"] > 0
    batch.ask("resume", max_cost=None)
    assert batch.reach("COMPLETED")["usage"]["unpriced_calls"] == 100


def test_unknown_costs_are_said_beside_the_known_ones(edge: Edge) -> None:
    edge.models.replies |= {"counted": [FINE], "uncounted": [UNCOUNTED]}
    batch = edge.batch(["counted", "uncounted"])
    usage = batch.reach("COMPLETED")["usage"]
    assert usage["unpriced_calls"] == 1
    assert [each["unpriced_calls"] for each in usage["by_model"]] == [1]
    assert [each["unpriced_calls"] for each in usage["by_prompt"]] == [1]
    assert usage["input_tokens"] == USAGE["prompt_tokens"]
    unpriced = {row["document"]["name"]: row["usage"]["unpriced_calls"] for row in batch.results()}
    assert unpriced == {"counted": 0, "uncounted": 1}
    report = edge.http.get(f"{batch.url}/report", timeout=LIMIT_SECONDS).json()
    assert [row["unpriced_calls"] for row in (*report["models"], *report["prompts"])] == [1, 1]
    answers = {row["document"]["name"]: row["answers"][0]["unpriced_calls"] for row in report["documents"]}
    assert answers == unpriced
