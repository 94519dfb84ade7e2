"""The settings: their environment variables, defaults and limits. See docs/operating.md."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from environs import Env, ValidationError, validate
from platformdirs import user_data_path

from app.shipped import IS_CHECKOUT

MOST_PROXIES = 10
MOST_DAYS = 36_500
LONGEST_SECRET = 64 * 1024  # bytes of the file of a secret
NO_NETWORK = "none"
Network = IPv4Network | IPv6Network
SHORTEST_ADMIN_TOKEN = 16


def _data_folder() -> Path:
    """Return the folder of everything that the service writes: database, admin token and unsent answers."""
    env = Env()
    if given := env.str("INTERLOCK_HOME", ""):
        return Path(given).expanduser().absolute()
    return Path(__file__).parent / "var" if IS_CHECKOUT else user_data_path("interlock", appauthor=False)


DATA_FOLDER = _data_folder()


def _read_secret(path: str | None, instead_of: str) -> str | None:
    """Read the file of a secret, without the line break at its end. The setting `instead_of` may not be set, too."""
    if path is None:
        return None
    if os.environ.get(instead_of):
        raise ValidationError(f"{instead_of} is set, too: set one of the two.")
    try:
        with open(path, "rb") as file:
            secret = file.read(LONGEST_SECRET + 1)
        text = secret.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValidationError(f"The file {path} cannot be read: {reason}.") from error
    if not text or len(secret) > LONGEST_SECRET:
        raise ValidationError(f"The file {path} has to have 1 to {LONGEST_SECRET} bytes.")
    if instead_of == "ADMIN_TOKEN":
        _long_enough(text)
    return text


def _reader() -> Env:
    """Make what reads the environment, and collects all wrong values; `secret` reads the file that a setting names."""
    made = Env(eager=False)
    made.add_parser("secret", _read_secret)
    return made


def _long_enough(admin_token: str) -> None:
    if 0 < len(admin_token) < SHORTEST_ADMIN_TOKEN:
        raise ValidationError(f"The admin token has to have at least {SHORTEST_ADMIN_TOKEN} characters.")


def _check_proxies(text: str) -> None:
    if text.isdecimal() and int(text) <= MOST_PROXIES:
        return
    try:
        for each in text.split(","):
            if each.strip().isdecimal():  # ipaddress would read a number as an address
                raise ValueError(each)
            ip_network(each.strip())
    except ValueError as error:
        raise ValidationError(
            f"Has to be a number, 0..{MOST_PROXIES}, or addresses with commas between them."
        ) from error


def _networks_of(text: str) -> tuple[Network, ...]:
    if text == NO_NETWORK:
        return ()
    if any(each.strip().isdecimal() for each in text.split(",")):  # ipaddress would read a number as an address
        raise ValueError(text)
    return tuple(ip_network(each.strip()) for each in text.split(","))


def _check_networks(text: str) -> None:
    try:
        _networks_of(text)
    except ValueError as error:
        message = f"Has to be {NO_NETWORK}, or networks such as 10.0.0.0/8 with commas between them."
        raise ValidationError(message) from error


@dataclass(frozen=True)
class Config:
    database_url: str
    host: str = "127.0.0.1"
    port: int = 5000
    admin_token: str | None = None
    lock_timeout_ms: int = 250
    request_ttl_s: int = 60
    workers: int = 1
    threads: int = 16
    keepalive_seconds: int = 75
    embedded_worker: bool = True
    sweeper: bool = True
    purge_archived_after_days: int = 0
    max_body_bytes: int = 64 * 1024 * 1024
    max_jsonl_bytes: int = 2 * 1024 * 1024 * 1024
    trusted_proxies: str = "0"
    webhook_allowed_networks: str = NO_NETWORK
    currency: str = ""
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls) -> "Config":
        """Read and check all settings. Raises environs.EnvValidationError, which names every wrong one."""
        env = _reader()
        url_of_file = env.secret("DATABASE_URL_FILE", None, instead_of="DATABASE_URL")
        token_of_file = env.secret("ADMIN_TOKEN_FILE", None, instead_of="ADMIN_TOKEN")
        values: dict[str, Any] = {
            "database_url": env.str("DATABASE_URL", url_of_file or f"sqlite:///{DATA_FOLDER / 'interlock.db'}"),
            "host": env.str("HOST", cls.host),
            "port": env.int("PORT", cls.port, validate=validate.Range(1, 65535)),
            "admin_token": env.str("ADMIN_TOKEN", None, validate=_long_enough) or token_of_file,
            "lock_timeout_ms": env.int("LOCK_TIMEOUT_MS", cls.lock_timeout_ms, validate=validate.Range(1, 60_000)),
            "request_ttl_s": env.int("REQUEST_TTL_S", cls.request_ttl_s, validate=validate.Range(1, 86_400)),
            "workers": env.int("WORKERS", cls.workers, validate=validate.Range(1, 64)),
            "threads": env.int("THREADS", cls.threads, validate=validate.Range(2, 256)),
            "keepalive_seconds": env.int("KEEPALIVE_SECONDS", cls.keepalive_seconds, validate=validate.Range(1, 3600)),
            "embedded_worker": env.bool("EMBEDDED_WORKER", cls.embedded_worker),
            "sweeper": env.bool("SWEEPER", cls.sweeper),
            "purge_archived_after_days": env.int(
                "PURGE_ARCHIVED_AFTER_DAYS", cls.purge_archived_after_days, validate=validate.Range(0, MOST_DAYS)
            ),
            "max_body_bytes": env.int("MAX_BODY_BYTES", cls.max_body_bytes, validate=validate.Range(1024)),
            "max_jsonl_bytes": env.int("MAX_JSONL_BYTES", cls.max_jsonl_bytes, validate=validate.Range(1024)),
            "trusted_proxies": env.str("TRUSTED_PROXIES", cls.trusted_proxies, validate=_check_proxies),
            "webhook_allowed_networks": env.str(
                "WEBHOOK_ALLOWED_NETWORKS", cls.webhook_allowed_networks, validate=_check_networks
            ),
            "currency": env.str("CURRENCY", cls.currency, validate=validate.Length(0, 12)),
            "log_level": env.str(
                "LOG_LEVEL", cls.log_level, validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
            ),
        }
        env.seal()
        return cls(**values)

    @property
    def webhook_networks(self) -> tuple[Network, ...]:
        """The networks of `webhook_allowed_networks`."""
        return _networks_of(self.webhook_allowed_networks)
