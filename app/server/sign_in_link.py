"""The address that signs the admin in: printed at each start of a server, and whenever somebody on its machine asks."""

from app.server.address import base_url
from app.services import build
from config import Config


def sign_in_url(config: Config) -> str:
    """Make an address that is good once, and for an hour."""
    services = build(config)
    try:
        return f"{base_url(config)}/sign-in?code={services.sign_in_links.make()}"
    finally:
        services.engine.dispose()  # its connections must not be shared across the fork
