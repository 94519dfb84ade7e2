"""The preview of a new batch: the tasks it would make and the messages it would send, from a form half filled in."""

from collections.abc import Sequence
from typing import Any

from app.domain import estimates
from app.domain import prompts as templates
from app.domain.estimates import Texts
from app.domain.ids import plain_number
from app.ui import new_batch_form
from app.ui.new_batch_form import Form

MOST_SHOWN = 4_000  # characters of a message
BIGGEST_COUNT = 10**9  # the page counts its files and their characters itself


def preview(form: Form, known: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Describe what the form would make; `known` are the models that earlier batches used."""
    ignored: dict[str, str] = {}  # errors are shown when the form is sent
    documents = new_batch_form.documents(form, ignored)
    prompts = new_batch_form.prompts(form, ignored)
    models = new_batch_form.models(form, ignored)
    pasted = [each for each in documents if "text" in each]
    folders = len(documents) - len(pasted)
    files, readable, characters = (_count(form, f"files_{name}") for name in ("count", "texts", "characters"))
    texts = Texts(len(pasted) + readable, sum(len(each["text"]) for each in pasted) + characters)
    counted = len(pasted) + files
    tokens = estimates.input_tokens(texts, [(each["text"], each["system"]) for each in prompts], len(models))
    return {
        "documents": counted,
        "folders": folders,
        "unsized": files - readable,
        "prompts": len(prompts),
        "models": len(models),
        "tasks": counted * len(prompts) * len(models),
        "input_tokens": tokens,
        "characters_a_token": estimates.CHARACTERS_A_TOKEN,
        "cost": _cost(models, known, tokens),
        **_messages(form, pasted, prompts),
    }


def _count(form: Form, name: str) -> int:
    return min(plain_number(form.get(name, "")) or 0, BIGGEST_COUNT)


def _cost(models: Sequence[dict[str, Any]], known: Sequence[dict[str, Any]], tokens: int) -> float | None:
    """Estimate the cost from what a token cost with each model so far; None if one of them has no known cost."""
    prices: dict[tuple[str, str], float | None] = {
        (each["connection"], each["model"]): each["cost_a_token"] for each in known
    }
    found = [prices.get((each["connection"], each["model"])) for each in models]
    priced = [price for price in found if price is not None]
    if not found or not tokens or len(priced) < len(found):
        return None
    return sum(priced) * tokens / len(models)


def _messages(form: Form, pasted: Sequence[dict[str, Any]], prompts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Render every prompt on the first document: the first picked file, or else the pasted text."""
    name, text = form.get("sample_name", ""), form.get("sample_text", "")
    if not name and pasted:
        name, text = pasted[0]["name"], pasted[0]["text"]
    unread = bool(name) and not text
    shown = text or "[the document's text]"
    rendered = [
        {
            "name": each["name"] or f"prompt {number}",
            "messages": [
                {"role": message["role"], "content": _cut(message["content"])}
                for message in templates.messages(each["text"], shown, name or "[its name]", None, each["system"])
            ],
        }
        for number, each in enumerate(prompts, 1)
    ]
    return {"sample_name": name, "sample_unread": unread, "rendered": rendered}


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]} ... ({len(text) - MOST_SHOWN:,} characters more)"
