"""Where a webhook may be sent: the form of its URL, and the addresses of networks that a caller may not reach.

A URL is given by a caller, and the service calls it. So it must not lead to what only the service can reach: its own
machine, the private network around it, or the metadata service of a cloud.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 2_000
NO_URL = "is not a URL"
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_NAT64 = IPv6Network("64:ff9b::/96")  # an IPv4 address, in its last 32 bits
# What `is_global` of Python 3.11 takes for public: translated, tunnelled and reserved addresses.
_NOT_PUBLIC = tuple(
    map(
        ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "64:ff9b:1::/48", "fec0::/10", "::/96", "5f00::/16")
    )
)


def objection_to_url(url: str) -> str | None:
    """Say what is wrong with the form of a URL; None if nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return NO_URL
    if objection := objection_to_characters(url):
        return objection
    if parts.scheme not in ("http", "https"):
        return "has to begin with https:// or http://"
    if not parts.hostname or port == 0 or "%" in parts.netloc:
        return "names no host, port 0, or a host with a %"
    if "@" in parts.netloc:
        return "may not have a user name or password: the signature says who sends"
    return "may not have a fragment" if "#" in url else None


def objection_to_characters(url: str) -> str | None:
    """Say which characters a URL may not have; None if it has none of them."""
    if any(not "!" <= each <= "~" or each == "\\" for each in url):
        return "may have printable ASCII characters only, and no backslash; write a name of other letters as xn--..."
    return None


def port_of(parts: SplitResult) -> int:
    """Give the port of a URL."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def objection_to_address(text: str, allowed: Sequence[Network]) -> str | None:
    """Say why nothing may be sent to an address; None if it may. `allowed` networks may be private."""
    address = _seen_through(ip_address(text.partition("%")[0]))
    if any(address in network for network in allowed):
        return None
    if address.is_global and not address.is_multicast and not any(address in each for each in _NOT_PUBLIC):
        return None
    return f"{text} is a private or reserved address, which WEBHOOK_ALLOWED_NETWORKS does not allow"


def _seen_through(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address stands for."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
