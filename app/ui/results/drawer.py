"""One answer whole, beside the matrix: rendered, raw, what was sent, and its differences from another answer."""

from typing import Any

from flask import request

from app.domain.answer.answers import answer_of
from app.domain.answer.differences import differences
from app.errors import NotFound
from app.ui.batch.tasks import messages_of, shown, timeline_of
from app.ui.results.markdown import rendered
from app.web.services import services

VIEWS = ("rendered", "raw", "sent", "differences")


def drawer_of(batch_id: int, task_id: str) -> dict[str, Any]:
    """Read what the drawer shows of a task: `?view=` is one of VIEWS, `?against=` the task it is held against.

    Raises NotFound.
    """
    found = services().reads.tasks.with_payload(batch_id, task_id)
    task, payload = found["task"], found["payload"]
    answer = answer_of(task["result"], in_json="schema" in payload)
    base = _answer_to(batch_id, request.args.get("against"))
    view = request.args.get("view", "")
    text = None if answer is None else shown(answer)
    return {
        "task": task,
        "view": view if view in VIEWS else VIEWS[0],
        "views": VIEWS if base is not None else VIEWS[:-1],
        "against": request.args.get("against") if base is not None else None,
        "fields": answer if isinstance(answer, dict) else None,
        "html": rendered(answer) if isinstance(answer, str) else None,
        "text": text,
        "pieces": None if base is None or text is None else differences(shown(base), text),
        "messages": messages_of(payload),
        "shown": shown,
        "timeline": timeline_of(task),
    }


def _answer_to(batch_id: int, task_id: str | None) -> Any:
    """Read the answer of the task that another one is held against; None if there is none."""
    if not task_id:
        return None
    try:
        found = services().reads.tasks.with_payload(batch_id, task_id)
    except NotFound:
        return None
    return answer_of(found["task"]["result"], in_json="schema" in found["payload"])
