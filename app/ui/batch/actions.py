"""Actions on a batch: the dialog with a preview of the effect, the action itself, and requests that are queued.

The action carries the version that the page showed: a batch that changed since then is refused.
"""

from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.datastructures import MultiDict

from app.domain.leases import FINISHED
from app.domain.roles import OPERATORS, READERS
from app.domain.transitions import ACTIONS, BatchState, reported_kinds
from app.errors import Invalid, Refusal, UnknownAction, VersionMismatch
from app.services.batch.orders import Answer
from app.ui.access import order, page
from app.ui.batch import action_form
from app.ui.batch.action_words import offer
from app.ui.batch.overview import page_with_dialog, whole_page
from app.ui.query import is_fragment
from app.web.services import services

routes = Blueprint("ui_act", __name__)
_AN_ACTION = "/batches/<ident:batch_id>/act/<string(maxlength=64):action>"


def _checked(action: str) -> str:
    if action not in ACTIONS:
        raise UnknownAction(action, ACTIONS)
    return action


def _rehearsed(batch_id: int, action: str, values: "MultiDict[str, str]") -> dict[str, Any]:
    """Rehearse an action with the values of its dialog, and write it as a curl command."""
    version, context = action_form.version_shown(values), action_form.context_of(action, values)
    rehearsal = order(if_version=version, dry_run=True, context=context)
    answer = services().batches.decide(batch_id, action, rehearsal)
    return {
        "batch_id": batch_id,
        "action": action,
        "version": version,
        "answer": answer,
        "reports_count": bool(reported_kinds(answer["new_state"])) if answer["success"] else False,
        "curl": action_form.curl(batch_id, action, version, context),
    }


@page(routes, "GET", _AN_ACTION, roles=OPERATORS)
def dialog(batch_id: int, action: str) -> str:
    """Show the dialog of an action: as a fragment for htmx, or within the batch's page."""
    reads = services().reads
    takes_reuse = action_form.takes_reuse(_checked(action))
    rehearsed = _rehearsed(batch_id, action, request.args)
    asked = rehearsed["answer"].get("batch") or reads.batches.show(batch_id)
    causes = request.args.getlist("cause")
    limits = action_form.LIMITS if action_form.takes_limits(action) else ()
    facts = {
        **rehearsed,
        "asked": asked,
        "offer": offer(action),
        "reason": request.args.get("reason", ""),
        "causes": causes,
        "limits": limits,
        "new_limits": request.args,
        "breaker": reads.audit.breaker_reason(batch_id) if asked["state"] is BatchState.PAUSED and limits else None,
        "names": reads.batch_page.names(batch_id) if takes_reuse and asked.get("run") and not causes else None,
        "may_run": takes_reuse,
        "statuses": [str(status) for status in FINISHED],
    }
    return render_template("batch/_dialog.html", **facts) if is_fragment() else page_with_dialog(**facts)


@page(routes, "GET", f"{_AN_ACTION}/effect", roles=OPERATORS)
def effect(batch_id: int, action: str) -> str:
    """Show what an action would do with the present values of its dialog."""
    return render_template("batch/_effect.html", **_rehearsed(batch_id, _checked(action), request.args))


@page(routes, "POST", "/batches/<ident:batch_id>/act", roles=OPERATORS)
def act(batch_id: int) -> Response:
    """Request the action, and show the answer."""
    action = request.form.get("action", "")
    try:
        version, context = action_form.version_shown(request.form), action_form.context_of(action, request.form)
        answer = services().batches.decide(batch_id, action, order(if_version=version, context=context))
    except Invalid as refusal:
        version, answer = 0, {"success": False, "code": refusal.code, "status": 422, "reason": refusal.detail}
    return _shown(batch_id, action, version, answer)


def _shown(batch_id: int, action: str, version: int, answer: Answer) -> Response:
    stale = answer.get("code") == VersionMismatch.code
    decision = {
        "batch_id": batch_id,
        "action": action,
        "version": version,
        "answer": answer,
        "changes": services().reads.audit.page(batch_id, after=version)[0] if stale else [],
    }
    if not is_fragment():
        status = {True: 200, None: 202}.get(answer["success"]) or answer["status"]
        return make_response(whole_page(batch_id, decision=decision), status)
    # htmx swaps only successful answers into the page, so a refusal has status 200 here.
    response = make_response(render_template("batch/_answer.html", decision=decision))
    if answer.get("status") == Invalid.status:
        response.headers["HX-Retarget"] = "#dialog-error"
    else:
        response.headers["HX-Trigger"] = "acted"
    return response


@page(routes, "GET", "/batches/<ident:batch_id>/waiting/<string(maxlength=64):request_id>", roles=READERS)
def waiting(batch_id: int, request_id: str) -> Response:
    """Show a queued request's place, or its outcome."""
    try:
        queued = services().reads.requests.show(request_id)
    except Refusal as refusal:
        return make_response(render_template("batch/_refusal.html", reason=refusal.detail))
    response = make_response(render_template("batch/_waiting.html", batch_id=batch_id, queued=queued))
    if queued["finished_at"]:
        response.headers["HX-Trigger"] = "acted"
    return response
