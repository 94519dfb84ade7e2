"""What a new batch would make and send, before anything is saved: from what is filled in so far, right or wrong."""

from collections.abc import Sequence
from typing import Any

from app.domain import estimates
from app.domain import prompts as templates
from app.domain.estimates import Texts
from app.domain.ids import plain_number
from app.ui import new_batch_form
from app.ui.new_batch_form import Form

MOST_SHOWN = 4_000  # characters of a message
BIGGEST_COUNT = 10**9  # of what the page says of its files


def look(form: Form, known: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Tell what the form would make; `known` are the models that earlier batches asked."""
    unjudged: dict[str, str] = {}  # what is half written is judged when it is sent
    documents = new_batch_form.documents(form, unjudged)
    prompts = new_batch_form.prompts(form, unjudged)
    models = new_batch_form.models(form, unjudged)
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
        **_preview(form, pasted, prompts),
    }


def _count(form: Form, name: str) -> int:
    return min(plain_number(form.get(name, "")) or 0, BIGGEST_COUNT)


def _cost(models: Sequence[dict[str, Any]], known: Sequence[dict[str, Any]], tokens: int) -> float | None:
    """Estimate the cost by what a token cost with each model before; None where one is not known."""
    prices: dict[tuple[str, str], float | None] = {
        (each["connection"], each["model"]): each["cost_a_token"] for each in known
    }
    found = [prices.get((each["connection"], each["model"])) for each in models]
    priced = [price for price in found if price is not None]
    if not found or not tokens or len(priced) < len(found):
        return None
    return sum(priced) * tokens / len(models)


def _preview(form: Form, pasted: Sequence[dict[str, Any]], prompts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Render every prompt on the first document: a file comes before the pasted text, as it is picked last."""
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
