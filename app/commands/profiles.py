"""Where the service is and who calls: flags go before the environment, and the environment before the profile.

A profile is a table of ~/.config/interlock/config.toml. Its token is sent only to the address of the same profile.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from interlock.answers import DEFAULT_URL

DEFAULT_PROFILE = "default"
FIELDS = ("url", "token", "token_file", "output")
LONGEST_TOKEN = 4096


@dataclass(frozen=True)
class Service:
    """The service to call."""

    url: str
    token: str = field(repr=False)
    output: str | None = None


def config_file(environment: Mapping[str, str]) -> Path:
    """Find the file of the profiles, which need not exist."""
    return Path(environment.get("XDG_CONFIG_HOME") or "~/.config", "interlock", "config.toml").expanduser()


def service_of(flags: Mapping[str, str | None], environment: Mapping[str, str], local_token: Path) -> Service:
    """Decide which service to call, with which token. Raises click.UsageError.

    `local_token` is the file of the admin token of a service on this machine: it is used for the default address only.
    """
    profile = _profile(config_file(environment), flags.get("profile") or environment.get("INTERLOCK_PROFILE"))
    url = flags.get("url") or environment.get("INTERLOCK_URL")
    output = flags.get("output") or environment.get("INTERLOCK_OUTPUT") or profile.get("output")
    token = _given_token(flags, environment)
    if url is None and "url" in profile:
        url, token = profile["url"], token or _token_of(profile)
    elif url is None and token is None:
        token = _token_of(profile) or (_read(local_token) if local_token.is_file() else None)
    if token is None:
        raise click.UsageError(
            "No token: set INTERLOCK_TOKEN, give --token-file, or write a profile into " + str(config_file(environment))
        )
    return Service(url or DEFAULT_URL, token, output)


def _given_token(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> str | None:
    if flags.get("token_file"):
        return _read(Path(str(flags["token_file"])))
    if token := environment.get("INTERLOCK_TOKEN"):
        return token.strip()
    if path := environment.get("INTERLOCK_TOKEN_FILE"):
        return _read(Path(path))
    return None


def _token_of(profile: Mapping[str, str]) -> str | None:
    if "token" in profile:
        return profile["token"]
    return _read(Path(profile["token_file"]).expanduser()) if "token_file" in profile else None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_TOKEN).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.UsageError(f"The token file {path} cannot be read: {reason}.") from error


def _profile(path: Path, wanted: str | None) -> dict[str, str]:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        content = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}.") from error
    profiles = content.get("profiles", {})
    if unknown := sorted(set(content) - {"profile", "profiles"}):
        raise click.UsageError(f"{path} has the unknown key {unknown[0]!r}; the keys are: profile, profiles.")
    name = wanted or content.get("profile") or DEFAULT_PROFILE
    if not isinstance(profiles, dict) or name not in profiles:
        if wanted or content.get("profile"):
            known = ", ".join(profiles) if isinstance(profiles, dict) and profiles else "none"
            raise click.UsageError(f"{path} has no profile {name!r}; the profiles are: {known}.")
        return {}
    return _checked(path, str(name), profiles[name])


def _checked(path: Path, name: str, profile: Any) -> dict[str, str]:
    if not isinstance(profile, dict) or not all(isinstance(value, str) for value in profile.values()):
        raise click.UsageError(f"{path}: the profile {name!r} has to be a table of texts.")
    if unknown := sorted(set(profile) - set(FIELDS)):
        raise click.UsageError(
            f"{path}: the profile {name!r} has the unknown key {unknown[0]!r}; the keys are: {', '.join(FIELDS)}."
        )
    return profile
