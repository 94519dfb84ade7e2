"""What the templates of a form of prompts, models and options need: its rows, its errors and what is offered."""

from itertools import zip_longest
from typing import Any

from app.domain import new_batch as rules
from app.domain.answer.server_answers import OnTruncated
from app.domain.documents import OnTooLong, OnUnreadable, PromptInput
from app.ui.new_batch.form import OFFERED, Form


def form_facts(filled: Form, errors: dict[str, str]) -> dict[str, Any]:
    """Give what the templates show of a form that is filled in."""
    return {
        "filled": filled,
        "errors": errors,
        "prompts": _rows(filled, "prompt", ("name", "text", "system", "schema", "input")),
        "models": _rows(filled, "model", ("connection", "model", "params")),
        "amounts": {name: rules.AMOUNTS[name] for name in OFFERED},
        "on_unreadable": list(OnUnreadable),
        "on_truncated": list(OnTruncated),
        "on_too_long": list(OnTooLong),
        "prompt_inputs": list(PromptInput),
    }


def _rows(filled: Form, noun: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Give the filled-in rows of a repeated part of the form; one empty row if there is none."""
    values = zip_longest(*(filled.getlist(f"{noun}_{column}") for column in columns), fillvalue="")
    return [dict(zip(columns, row, strict=True)) for row in values] or [dict.fromkeys(columns, "")]
