"""Proxies in front of the service: what they say about the caller's address, about the host, and about the path.

Only a trusted proxy is believed (the setting TRUSTED_PROXIES), because any caller can write these headers.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
_PREFIX = "HTTP_X_FORWARDED_PREFIX"
_PATH = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)+")


def register(app: Flask, trusted: str) -> None:
    """Believe `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` of trusted proxies.

    `trusted` is how many proxies stand one behind another, or the addresses and networks from which a proxy connects.
    """
    application: Any = app  # for mypy: Flask documents that its wsgi_app may be replaced
    inner: Wsgi = application.wsgi_app
    if trusted.isdecimal():
        if int(trusted):
            application.wsgi_app = _with_plain_prefix(_fixed(inner, int(trusted)))
        return
    networks = [ipaddress.ip_network(each.strip()) for each in trusted.split(",")]
    fixed = _with_plain_prefix(_fixed(inner, 1))

    def choose(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        is_trusted = _is_in(networks, environ.get("REMOTE_ADDR", ""))
        return (fixed if is_trusted else inner)(environ, start_response)

    application.wsgi_app = choose


def _fixed(inner: Wsgi, proxies: int) -> Wsgi:
    fixed: Wsgi = ProxyFix(inner, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies)
    return fixed


def _with_plain_prefix(inner: Wsgi) -> Wsgi:
    """Ignore a prefix that is no plain path: a proxy may pass a caller's header on, and links would lead away."""

    def checked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        prefixes = [each.strip().rstrip("/") for each in environ.pop(_PREFIX, "").split(",")]
        if all(_PATH.fullmatch(each) for each in prefixes):
            environ[_PREFIX] = ",".join(prefixes)
        return inner(environ, start_response)

    return checked


def _is_in(networks: Iterable[Any], address: str) -> bool:
    try:
        return any(ipaddress.ip_address(address) in network for network in networks)
    except ValueError:  # a socket that has no address
        return False
