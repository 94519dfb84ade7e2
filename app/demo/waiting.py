"""What the tasks of a batch wait for, in sentences."""

from collections.abc import Mapping
from typing import Any

STARTS_A_WORKER = "start one with `python -m app.worker --url {url}`"


def sentences(batch: Mapping[str, Any], url: str) -> list[str]:
    """Say for each entry of the batch's `waiting_for` why nothing goes on there, and what can be done."""
    return [_sentence(each, url) for each in batch.get("waiting_for", ())]


def _sentence(each: Mapping[str, Any], url: str) -> str:
    if each["class"] is None:
        return f"{_name(each)}: {each['reason']}; {STARTS_A_WORKER.format(url=url)}."
    since = f"{_name(each)} is closed ({each['class']}) since {each['since']}"
    return f"{since}: {each['reason'] or 'no reason was reported'}. Its tasks wait until {each['next_try_at']}."


def _name(each: Mapping[str, Any]) -> str:
    if each["connection"] is None:
        return "Staging" if each["kind"] == "STAGE" else "Analysis"
    return f"Connection {each['connection']}" + (f", model {each['model']}" if each["model"] else "")
