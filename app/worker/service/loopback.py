"""Which addresses are on this machine itself: the proxies of the environment cannot reach them."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Check whether the host of a URL is this machine. A name is not looked up, except for `localhost`."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified  # a connection to 0.0.0.0 goes to this machine, too
