"""The URLs of the library apprise: which services they may name, and what may be shown of them.

Such a URL names a service and holds its secrets, as in `slack://TOKEN_A/TOKEN_B/TOKEN_C`. apprise knows over a hundred
services; here are those that send a request to a server. Others would write to this machine, or run a program on it.
"""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from app.domain.webhook.addresses import NO_URL, objection_to_characters

# schema -> whether its host is one: shown, and checked when the URL is given. The host of others is a secret or a name.
SCHEMAS: Mapping[str, bool] = {
    "discord": False,
    "gchat": False,
    "gotify": True,
    "gotifys": True,
    "json": True,
    "jsons": True,
    "mailto": True,
    "mailtos": True,
    "mmost": True,
    "mmosts": True,
    "ntfy": False,
    "ntfys": False,
    "opsgenie": False,
    "pagerduty": False,
    "pover": False,
    "rocket": True,
    "rockets": True,
    "slack": False,
    "tgram": False,
    "twilio": False,
    "workflows": True,
    "wxteams": False,
    "zulip": False,
}
# Others may name a file of this machine, turn off the check of certificates, or allow redirects.
PARAMETERS = frozenset(
    (
        "bcc", "cc", "channel", "from", "mode", "name", "pass", "priority", "region", "reply", "severity", "sid",
        "smtp", "tags", "thread", "to", "token", "topic", "user",
    )
)  # fmt: skip
LEAST_HIDDEN = 3  # characters: a shorter part of a URL is no secret


def objection_to_notification_url(url: str) -> str | None:
    """Say what is wrong with the form of a URL of apprise; None if nothing is. Nothing of the URL is in the answer."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return NO_URL
    if objection := objection_to_characters(url):
        return objection
    if parts.scheme not in SCHEMAS:
        return f"has to begin with one of {', '.join(f'{each}://' for each in SCHEMAS)}"
    given = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if not given <= PARAMETERS:
        return f"may have the parameters {', '.join(sorted(PARAMETERS))}, and no others"
    return "may not have a fragment" if "#" in url else None


def hosts_of(url: str) -> list[str]:
    """List the hosts that a URL of apprise names openly."""
    parts = urlsplit(url)
    named = [parts.hostname] if SCHEMAS[parts.scheme] else []
    return [each for each in (*named, dict(parse_qsl(parts.query)).get("smtp")) if each]


def masked(url: str) -> str:
    """Give what may be shown of a URL of apprise: its schema, and its host if it has one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_shown_host(parts)}..."


def without_secrets(text: str, url: str) -> str:
    """Give a text in which no part of a URL of apprise is left, but what may be shown of it."""
    parts = urlsplit(url)
    rest = url.partition("://")[2]
    written = {url, rest, *re.split(r"[/?&=@:,+]", rest)}
    pieces = written | {unquote(each) for each in written}
    shown = {parts.hostname if SCHEMAS.get(parts.scheme) else None, *PARAMETERS}
    for each in sorted(pieces, key=len, reverse=True):
        if len(each) >= LEAST_HIDDEN and each not in shown:
            text = text.replace(each, "...")
    return text


def _shown_host(parts: SplitResult) -> str:
    return f"{parts.hostname}/" if SCHEMAS.get(parts.scheme) else ""
