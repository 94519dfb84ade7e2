"""An answer as a page shows it, held against the real one: what is shown has to be in it, `...` stands for anything."""

import json
import re
from typing import Any

ANYTHING = "..."


def hold_against(shown: str, said: str, where: str) -> None:
    """Compare a shown answer with the real one. Raises AssertionError naming the first difference."""
    real_head, _, real_body = said.replace("\r\n", "\n").partition("\n\n")
    head, _, body = shown.partition("\n\n")
    status, *headers = head.strip().splitlines()
    real_status, *real_headers = real_head.splitlines()
    assert real_status == status, f"{where} shows {status}, the answer is\n{said}"
    # Names of headers have no case (RFC 9110, section 5.1).
    sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in real_headers)}
    for line in headers:
        name, _, value = line.partition(": ")
        assert name.lower() in sent, f"{where} shows the header {name}, the answer has none"
        assert _matches(value, sent[name.lower()]), f"{where} shows {line}, the answer has {sent[name.lower()]}"
    try:
        wanted = documents(body)
    except json.JSONDecodeError:
        for line in filter(None, body.splitlines()):
            seen = real_body.removeprefix("\ufeff").splitlines()  # a terminal shows no byte order mark
            assert any(_matches(line, other) for other in seen), f"{where}: no line {line!r}\n{said}"
        return
    found = documents(real_body)
    if wanted:
        _contains(wanted, found, where, said)


def documents(text: str) -> list[Any]:
    """Read a text of JSON documents, one after the other."""
    found, rest = [], text.strip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        found.append(document)
        rest = rest[end:].lstrip()
    return found


def _contains(shown: Any, real: Any, where: str, said: str) -> None:
    assert _is_in(shown, real), f"{where} shows\n{json.dumps(shown, indent=1)}\nthe answer is\n{said}"


def _is_in(shown: Any, real: Any) -> bool:
    if isinstance(shown, dict) and isinstance(real, dict):
        return all(key in real and _is_in(value, real[key]) for key, value in shown.items())
    if isinstance(shown, list) and isinstance(real, list):
        if shown and shown[-1] == ANYTHING:
            shown, real = shown[:-1], real[: len(shown) - 1]
        return len(shown) == len(real) and all(map(_is_in, shown, real))
    if isinstance(shown, str):
        return shown == ANYTHING or (isinstance(real, str) and _matches(shown, real))
    return type(shown) is type(real) and bool(shown == real)


def _matches(shown: str, real: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, shown.split(ANYTHING))), real, re.S) is not None
