"""The form in which the input of a batch is changed: filled in from the batch, and read by the rules of a new batch."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.services.reads.batch_page import MadeOf
from app.ui.new_batch.form import DEFAULTS, OFFERED, Form, NewBatch, models, options, prompts


def filled_in(made_of: MadeOf, present: Mapping[str, Any]) -> Form:
    """Fill in the form with what a batch has now."""
    form = Form()
    for prompt in made_of.prompts:
        for name in ("name", "text", "system", "schema", "input"):
            form.add(f"prompt_{name}", _text(prompt[name]))
    for model in made_of.models:
        for name in ("connection", "model"):
            form.add(f"model_{name}", model[name])
        form.add("model_params", _text(model["params"] or None))
    for name in (*OFFERED, *DEFAULTS):
        form.add(name, "" if present[name] is None else str(present[name]))
    return form


def read(form: Form, with_parts: bool) -> NewBatch:
    """Read the form: the options, and with `with_parts` the prompts and models."""
    errors: dict[str, str] = {}
    found = options(form, errors)
    body: dict[str, Any] = {"options": {name: found[name] for name in (*OFFERED, *DEFAULTS)}}
    if with_parts:
        body |= {"prompts": prompts(form, errors), "models": models(form, errors)}
    return NewBatch(body, errors)


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()
