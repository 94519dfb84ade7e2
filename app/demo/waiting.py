"""What the tasks of a batch wait for, in sentences."""

from collections.abc import Mapping
from typing import Any


def sentences(batch: Mapping[str, Any], url: str) -> list[str]:
    """Say for each entry of the batch's `waiting_for` why nothing goes on there, and what can be done."""
    return [_closed(each) if each["class"] else _unserved(each, url) for each in batch.get("waiting_for", ())]


def _closed(each: Mapping[str, Any]) -> str:
    since = f"The {_name(each)} is closed ({each['class']}) since {each['since']}"
    return f"{since}: {each['reason'] or 'no reason was reported'}. Its tasks wait until {each['next_try_at']}."


def _unserved(each: Mapping[str, Any], url: str) -> str:
    what = "call models" if each["connection"] is None else f"call the {_name(each)}"
    what = "stage documents" if each["kind"] == "STAGE" else what
    return f"No worker seems to be running that can {what}: start one with `python -m app.worker --url {url}`."


def _name(each: Mapping[str, Any]) -> str:
    return f"connection {each['connection']}" + (f" (model {each['model']})" if each["model"] else "")
