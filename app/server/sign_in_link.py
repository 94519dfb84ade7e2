"""The address that signs the admin in. `serve` prints one at its start, and `sign-in-link` prints another."""

from app.server.address import base_url
from app.services import build
from config import Config


def sign_in_url(config: Config) -> str:
    """Make an address that is valid once, within an hour."""
    services = build(config)
    try:
        return f"{base_url(config)}/sign-in?code={services.sign_in_links.make()}"
    finally:
        services.engine.dispose()  # processes must not share its connections after a fork
