"""connections.toml: every wrong value is reported in a line, and no line contains a key."""

from pathlib import Path

import pytest

from app.worker.connections.registry import handlers_of
from app.worker.connections.settings import Connections, WrongConnections, read
from app.worker.connections.tokens import Tokens
from tests.support.process import ROOT

ENVIRONMENT = {"LAB_KEY": "sk-lab"}


def reading(tmp_path: Path, text: str) -> Connections:
    path = tmp_path / "connections.toml"
    path.write_text(text)
    return read(path, ENVIRONMENT)


def test_the_example_is_right_and_has_every_field() -> None:
    path = ROOT / "examples" / "connections.toml"
    found = read(path, {"OPENAI_API_KEY": "sk-open"})
    assert found.keys == {"openai": "sk-open"}
    assert found.ready_made == "openai"
    text = path.read_text()
    assert all(name in text for table in found.tables.values() for name in type(table).model_fields)
    mini = found.tables["openai"].model("gpt-4o-mini")
    assert mini is not None
    assert mini.cost(Tokens(1_000_000, 500_000)) == pytest.approx(0.45)
    assert mini.cost(Tokens(1_000_000, 500_000, cached=1_000_000)) == pytest.approx(0.375)


def test_a_connection_that_lists_its_models_answers_for_them_alone(tmp_path: Path) -> None:
    text = """
        jsonl = "lab"
        [lab]
        base_url = "http://127.0.0.1:1/v1"
        models = { a = { input = 1 }, "org/b" = { input = 2, output = 3.5 } }
        [open]
        base_url = "http://127.0.0.1:2"
        models = { "*" = { input = 0 } }
        [free]
        base_url = "http://127.0.0.1:3"
    """
    handlers = handlers_of(reading(tmp_path, text))
    assert set(handlers) == {"lab/a", "lab/org/b", "jsonl/a", "jsonl/org/b", "open", "free"}
    assert handlers["lab/a"] is handlers["jsonl/org/b"]  # one handler, so that one limit holds for all
    assert handlers["open"] is not handlers["free"]
    for handler in handlers.values():
        handler.close()  # type: ignore[attr-defined]


def test_keys_are_in_no_text_of_the_settings(tmp_path: Path) -> None:
    found = reading(tmp_path, '[lab]\nbase_url = "http://127.0.0.1:1"\napi_key_env = "LAB_KEY"')
    assert found.keys == {"lab": "sk-lab"}
    assert "sk-lab" not in repr(found)


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    text = """
        jsonl = "nowhere"
        timeout = 3
        [lab]
        base_url = "localhost:8000"
        api_key = "sk-written-into-the-file"
        requests_per_minute = "600"
        tokens_per_minute = 0
        [other]
        base_url = "http://me:secret@127.0.0.1"
        models = { m = { input = -1, inptu = 2 }, n = { input = nan } }
        [third]
        base_url = "http://127.0.0.1"
        api_key_env = "NO_SUCH_KEY"
        ["a/b"]
        base_url = "http://127.0.0.1"
        [empty]
        [hasty]
        base_url = "http://127.0.0.1"
        total_seconds = 1
    """
    with pytest.raises(WrongConnections) as caught:
        reading(tmp_path, text)
    message = str(caught.value)
    for place in (
        "jsonl: 'nowhere'", "timeout: is neither", "lab.base_url: is not an address",
        "lab.api_key: is not a field of a connection", "lab.requests_per_minute: ", "lab.tokens_per_minute: ",
        "other.base_url: contains more than an address", "other.models.m.input: ",
        "other.models.m.inptu: is not a field",
        "other.models.n.input: ", "third.api_key_env: the environment variable NO_SUCH_KEY is not set",
        "'a/b': ", "empty.base_url: ", "hasty: total_seconds is shorter",
    ):  # fmt: skip
        assert place in message
    assert "sk-written" not in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("text", "sentence"), [("[lab", "is not TOML"), ("jsonl = 3", "jsonl: 3 is not the name of a table")]
)
def test_a_malformed_file_is_reported(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(WrongConnections, match=sentence):
        reading(tmp_path, text)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WrongConnections, match="cannot be read"):
        read(tmp_path / "no-such-file", {})


def test_an_invalid_key_is_reported_without_the_key(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[lab]\nbase_url = "http://127.0.0.1:1"\napi_key_env = "K"')
    with pytest.raises(WrongConnections, match="K contains characters that no key has") as caught:
        read(tmp_path / "c.toml", {"K": "sk-with\nnewline"})
    assert "newline" not in str(caught.value)
