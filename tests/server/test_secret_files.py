"""Settings that are files: the secrets of a service, and the folder of its data."""

import re
from pathlib import Path

import pytest
from environs import EnvValidationError

from config import Config

SECRETS = {"DATABASE_URL": "postgresql://interlock:secret@db/interlock", "ADMIN_TOKEN": "a secret of the admin's"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_read_from_its_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(f"{SECRETS[name]}\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    assert getattr(Config.from_environment(), name.lower()) == SECRETS[name]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "has to have 1 to 65536 bytes"),
        (b"\n", "has to have 1 to 65536 bytes"),
        (b"x" * 65_537, "has to have 1 to 65536 bytes"),
        (b"\xff\xfe" + b"x" * 20, "cannot be read: it is not UTF-8"),
    ],
)
def test_a_bad_file_is_named(
    name: str, content: bytes | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(f"{name}_FILE", str(path))
    with pytest.raises(EnvValidationError) as refused:
        Config.from_environment()
    assert refused.value.error_messages == {f"{name}_FILE": [f"The file {path} {reason}."]}


def test_a_short_admin_token_in_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("short")
    monkeypatch.setenv("ADMIN_TOKEN_FILE", str(tmp_path / "secret"))
    with pytest.raises(EnvValidationError, match="at least 16 characters"):
        Config.from_environment()


@pytest.mark.parametrize("name", SECRETS)
def test_one_of_the_two_is_set(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(SECRETS[name])
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv(name, SECRETS[name])
    with pytest.raises(EnvValidationError) as refused:
        Config.from_environment()
    assert re.search(f"{name} is set, too", str(refused.value.error_messages))
    assert SECRETS[name] not in str(refused.value)
