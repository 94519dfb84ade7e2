"""The manual page: every command with its flags, and nothing that roff complains about."""

import shutil
import subprocess

import click
import pytest
from click.testing import CliRunner

from app.command import interlock
from app.commands.manual import _roff
from tests.commands.test_every_command import commands
from tests.support.waiting import LIMIT_SECONDS


@pytest.fixture(scope="module")
def page() -> str:
    done = CliRunner().invoke(interlock, ["manual"])
    assert done.exit_code == 0
    return done.stdout


def test_every_command_is_there_with_its_flags(page: str) -> None:
    sections = page.split("\n.SS ")[1:]
    for name, command in commands(interlock):
        (section,) = [each for each in sections if f"{each.splitlines()[0]} ".startswith(f"interlock {name} ")]
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.opts[-1].replace("-", "\\-") in section, (name, option.opts)
    assert any(section.startswith("interlock serve") for section in sections)


def test_roff_has_no_complaint(page: str) -> None:
    assert shutil.which("groff"), "install groff-base, as .ci/run does"
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("text", "written"), [(".x", "\\&.x"), ("'x", "\\&'x"), ("a\\b-c", "a\\eb\\-c"), ("", "")])
def test_no_text_is_a_command_of_roff(text: str, written: str) -> None:
    assert _roff(text) == written
