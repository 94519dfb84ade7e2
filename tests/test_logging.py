"""Log lines: the project and its libraries write the same format, without secrets."""

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from app.logging import configure


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("INFO")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def last_line(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().err.splitlines()[-1])


def test_an_event_is_one_line_of_json_with_what_is_bound(capsys) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("app.x").info("batch_paused", batch_id=7)
    line = last_line(capsys)
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "batch_paused",
        "batch_id": 7,
        "request_id": "r-1",
        "level": "info",
        "logger": "app.x",
    }


def test_a_librarys_line_has_the_same_form(capsys) -> None:
    logging.getLogger("some.library").warning("lost %s", "it")
    assert last_line(capsys)["event"] == "lost it"


class FullDisk(StringIO):
    def write(self, _: str) -> int:
        raise OSError("No space left on device")


def test_a_line_that_cannot_be_written_stops_nobody(monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", FullDisk())
    structlog.get_logger("app.x").info("lost")
    logging.getLogger("some.library").warning("lost, too")


def test_lines_below_the_level_are_not_written(capsys) -> None:
    configure("WARNING")
    structlog.get_logger("app.y").info("quiet")
    assert capsys.readouterr().err == ""


def test_a_logger_that_is_in_use_obeys_what_is_configured_again() -> None:
    logger = structlog.get_logger("app.z")
    logger.info("first")  # with this it has its processors
    configure("INFO")
    with structlog.testing.capture_logs() as logs:
        logger.info("second")
    assert [each["event"] for each in logs] == ["second"]


def test_secrets_are_hidden_at_any_depth(capsys) -> None:
    structlog.get_logger("app.z").info("seen", token="s3cret", body=[{"lease_token": "s3cret", "worker": "w"}])
    line = last_line(capsys)
    assert line["token"] == "[hidden]"
    assert line["body"] == [{"lease_token": "[hidden]", "worker": "w"}]


@pytest.mark.parametrize("text", ["Authorization: Bearer s3cret", "postgresql://interlock:s3cret@db/interlock"])
def test_secrets_are_hidden_inside_sentences_and_tracebacks(capsys, text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger("app.z").exception("it failed with %s", text)
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "s3cret" not in written
