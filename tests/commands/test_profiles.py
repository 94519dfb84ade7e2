"""Where the service is and who calls: flags over environment over file; no token goes to another address."""

from pathlib import Path

import click
import pytest

from app.commands.profiles import Service, service_of
from interlock.answers import DEFAULT_URL

FILE = """
profile = "night"

[profiles.night]
url = "https://night.example"
token = "of the night"
output = "json"

[profiles.day]
url = "https://day.example"
token_file = "{folder}/day-token"
"""


class Decide:
    """Decides with a file of profiles in a folder, and an admin token of a local service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "interlock" / "config.toml"
        self.file.parent.mkdir()
        (folder / "day-token").write_text("of the day\n")
        (folder / "flag-token").write_text("of the flag\n")
        (folder / "admin-token").write_text("of the admin\n")

    def __call__(self, content: str | None = FILE, environment: dict[str, str] | None = None, **flags: str) -> Service:
        if content is not None:
            self.file.write_text(content.replace("{folder}", str(self.folder)))
        given = {"XDG_CONFIG_HOME": str(self.folder), **(environment or {})}
        return service_of(flags, given, self.folder / "admin-token")


@pytest.fixture
def decide(tmp_path: Path) -> Decide:
    return Decide(tmp_path)


def test_the_profile_of_the_file(decide: Decide) -> None:
    assert decide() == Service("https://night.example", "of the night", "json")
    assert decide(profile="day") == Service("https://day.example", "of the day", None)
    assert decide(environment={"INTERLOCK_PROFILE": "day"}).url == "https://day.example"
    assert decide(environment={"INTERLOCK_PROFILE": "night"}, profile="day").url == "https://day.example"


def test_flags_go_before_the_environment_and_the_environment_before_the_file(decide: Decide) -> None:
    environment = {"INTERLOCK_URL": "https://env.example", "INTERLOCK_TOKEN": "of env", "INTERLOCK_OUTPUT": "name"}
    assert decide(environment=environment) == Service("https://env.example", "of env", "name")
    flags = {"url": "https://flag.example", "token_file": str(decide.folder / "flag-token"), "output": "jsonl"}
    assert decide(environment=environment, **flags) == Service("https://flag.example", "of the flag", "jsonl")


@pytest.mark.parametrize(
    "settings", [{"environment": {"INTERLOCK_URL": "https://else.example"}}, {"url": "https://else.example"}]
)
def test_the_token_of_a_profile_is_not_sent_to_another_address(decide: Decide, settings: dict) -> None:
    with pytest.raises(click.UsageError, match="No token"):
        decide(**settings)


def test_a_token_of_the_environment_is_used_with_the_address_of_a_profile(decide: Decide) -> None:
    assert decide(environment={"INTERLOCK_TOKEN": "of env"}) == Service("https://night.example", "of env", "json")
    environment = {"INTERLOCK_TOKEN_FILE": str(decide.folder / "flag-token")}
    assert decide(environment=environment).token == "of the flag"


def test_without_a_profile_it_is_the_service_of_this_machine(decide: Decide) -> None:
    assert decide(content=None) == Service(DEFAULT_URL, "of the admin", None)
    with pytest.raises(click.UsageError, match="No token"):
        decide(content=None, url="https://else.example")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("profile = ", "cannot be read"),
        ("profiel = 'x'", "has the unknown key 'profiel'; the keys are: profile, profiles."),
        ("profile = 'x'", "has no profile 'x'; the profiles are: none."),
        ("[profiles.default]\nurll = 'x'", "the unknown key 'urll'; the keys are: url, token, token_file, output."),
        ("[profiles.default]\nurl = 7", "has to be a table of texts"),
        ("[profiles]\ndefault = 7", "has to be a table of texts"),
        ("[profiles.default]\nurl = 'http://x'\ntoken_file = '/no/such/file'", "cannot be read: No such file"),
    ],
)
def test_a_wrong_file_names_what_is_wrong(decide: Decide, content: str, message: str) -> None:
    with pytest.raises(click.UsageError) as wrong:
        decide(content=content)
    assert message in str(wrong.value)


def test_a_profile_that_is_not_there_is_named_with_those_that_are(decide: Decide) -> None:
    with pytest.raises(click.UsageError, match="has no profile 'noon'; the profiles are: night, day"):
        decide(profile="noon")


def test_a_secret_is_not_in_the_repr(decide: Decide) -> None:
    assert "of the night" not in repr(decide())
