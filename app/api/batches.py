"""Batches: create, list, show, edit, archive; their documents, tasks, results and audit trail."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request, url_for

from app.api.access import current_caller, order
from app.api.idempotency import recorder
from app.api.parsing import if_match, json_body, load
from app.api.replies import etag, nothing, reply
from app.api.routes import BATCH, Routes, page
from app.api.schemas.fields import Taken
from app.api.schemas.headers import ETAG, LOCATION, MEDIA_TYPE
from app.api.schemas.shown import AuditSchema, BatchSchema, DocumentSchema, TaskSchema, list_of
from app.api.schemas.taken import (
    BatchBody,
    BatchesQuery,
    DocumentsBody,
    LinesQuery,
    Page,
    ReasonQuery,
    RenameBody,
    ReplaceDocumentBody,
    ReplaceInputBody,
    ResultsQuery,
    TasksQuery,
)
from app.api.uploads import JSON_LINES, has_lines, uploaded_documents
from app.domain.answer.server_answers import OnTruncated
from app.domain.leases import TaskStatus
from app.domain.roles import OPERATORS, READERS, WORKERS, Role
from app.domain.transitions import BatchState
from app.errors import Invalid
from app.services.input import copies, edits, erasure
from app.services.input.json_lines import read_lines
from app.services.input.ready_tasks import ReadyTasks
from app.services.reads.batches import Filter, Sort
from app.services.reads.task_walk import Wanted
from app.web.json_lines import NDJSON, stream_lines
from app.web.services import services
from app.web.spooling import spooled_answer, spooled_body

routes = Routes("batches", __name__, url_prefix="/api", description="Batches, their input and their results")
_LINES = {"type": "string", "description": "An OpenAI Batch input line for each task; it may be compressed with gzip"}
_CREATE = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": BatchBody},
            **{each: {"schema": _LINES} for each in JSON_LINES},
        },
    },
    "parameters": [
        {"in": "query", "name": "name", "schema": {"type": "string"}, "description": "The name, with JSON lines only"},
        {
            "in": "query",
            "name": "on_truncated",
            "schema": {"type": "string", "enum": list(OnTruncated)},
            "description": "As the option of the same name, with JSON lines only",
        },
    ],
}


def _json_or_files(schema: type[Taken]) -> dict[str, Any]:
    files = {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}}
    content = {
        "application/json": {"schema": schema},
        "multipart/form-data": {"schema": {"type": "object", "properties": files}},
    }
    return {"requestBody": {"required": True, "content": content}}


def _created(batch: Mapping[str, Any]) -> Response:
    return reply(batch, 201, Location=url_for("batches.show", batch_id=batch["id"]), ETag=etag(batch))


def _shown(batch: Mapping[str, Any]) -> Response:
    return reply(batch, ETag=etag(batch))


@routes.call("POST", "/batches", OPERATORS, body=True)
@routes.doc(**_CREATE)
@routes.response(201, BatchSchema, headers={**LOCATION, **ETAG})
def create() -> Response:
    """Create a batch, in state SAVED and at version 1."""
    new = order(recorder(_created, lambda batch: [batch["id"]]))
    if has_lines():
        query = load(LinesQuery(), request.args)
        name, options = query["name"], {"on_truncated": query["on_truncated"]}
        with ReadyTasks(services().reads.connections.known_abilities()) as tasks:
            read_lines(spooled_body(), tasks)
            batch = edits.create_batch_of_ready_tasks(services().batches, name, tasks, new, options)
    else:
        if request.args:
            raise Invalid("Unknown query parameters.", errors={key: ["Unknown field."] for key in request.args})
        body = load(BatchBody(), json_body(request))
        if "from" in body:
            batch = copies.create_copy(services().batches, body["from"], body, new)
        else:
            batch = edits.create_batch(services().batches, body, new)
    return _created(batch)


@routes.call("GET", "/batches", READERS)
@routes.arguments(BatchesQuery(), location="query")
@routes.response(200, list_of("batches", BatchSchema))
def index(query: Mapping[str, Any]) -> Response:
    """List batches, newest first."""
    wanted = Filter(BatchState(query["state"]) if query["state"] else None, query["name"] or "")
    return page("batches", *services().reads.batches.page(wanted, Sort.NEWEST, query["cursor"], query["limit"]))


@routes.call("GET", BATCH, READERS, refuses=[404])
@routes.response(200, BatchSchema, headers=ETAG)
def show(batch_id: int) -> Response:
    """Show a batch; its ETag is its version."""
    return _shown(services().reads.batches.show(batch_id))


@routes.call("PUT", f"{BATCH}/input", OPERATORS, refuses=[404, 409, 412, 503], body=True)
@routes.arguments(ReplaceInputBody())
@routes.response(200, BatchSchema, headers=ETAG)
def replace_input(body: Mapping[str, Any], batch_id: int) -> Response:
    """Replace the prompts, models or options of a batch in state SAVED. What is not named stays."""
    return _shown(edits.replace_input(services().batches, batch_id, body, order(if_version=if_match())))


@routes.call("PATCH", BATCH, OPERATORS, refuses=[404, 412, 503], body=True)
@routes.arguments(RenameBody())
@routes.response(200, BatchSchema, headers=ETAG)
def rename(body: Mapping[str, Any], batch_id: int) -> Response:
    """Change a batch's name, its description, or both."""
    return _shown(edits.rename(services().batches, batch_id, body, order(if_version=if_match())))


@routes.call("DELETE", BATCH, OPERATORS, refuses=[404, 409, 412, 503])
@routes.response(204)
def archive(batch_id: int) -> Response:
    """Archive a batch: no caller finds it any more, but its audit trail stays readable."""
    edits.archive(services().batches, batch_id, order(if_version=if_match()))
    return nothing()


@routes.call("POST", f"{BATCH}/documents", OPERATORS, refuses=[404, 409, 412, 503], body=True)
@routes.doc(**_json_or_files(DocumentsBody))
@routes.response(201, BatchSchema, headers={**LOCATION, **ETAG})
def add_documents(batch_id: int) -> Response:
    """Add documents, as files or inline, to a batch in state SAVED."""
    if request.mimetype == "multipart/form-data":
        documents = uploaded_documents()
    else:
        documents = load(DocumentsBody(), json_body(request))["documents"]
    new = order(recorder(_created), if_version=if_match())
    return _created(edits.add_documents(services().batches, batch_id, documents, new))


@routes.call("GET", f"{BATCH}/documents", READERS, refuses=[404])
@routes.arguments(Page(), location="query")
@routes.response(200, list_of("documents", DocumentSchema))
def documents(query: Mapping[str, Any], batch_id: int) -> Response:
    """List a batch's documents, without their content."""
    return page("documents", *services().reads.documents.page(batch_id, query["limit"], query["cursor"] or 0))


@routes.call("PUT", f"{BATCH}/documents/<ident:document_id>", OPERATORS, refuses=[404, 409, 412, 503], body=True)
@routes.doc(**_json_or_files(ReplaceDocumentBody))
@routes.response(200, BatchSchema, headers=ETAG)
def replace_document(batch_id: int, document_id: int) -> Response:
    """Replace a document of a batch in state SAVED, by a file or inline; earlier runs keep the one they read."""
    if request.mimetype == "multipart/form-data":
        (document,) = uploaded_documents(most=1)
    else:
        document = load(ReplaceDocumentBody(), json_body(request))
    new = order(if_version=if_match())
    return _shown(edits.replace_document(services().batches, batch_id, document_id, document, new))


@routes.call("DELETE", f"{BATCH}/documents/<ident:document_id>", OPERATORS, refuses=[404, 412, 503])
@routes.arguments(ReasonQuery(), location="query")
@routes.response(200, BatchSchema, headers=ETAG)
def erase_document(query: Mapping[str, Any], batch_id: int, document_id: int) -> Response:
    """Erase a document in any state: its text, the answers about it in all runs, and what was reused from them."""
    context = {} if query["reason"] is None else {"reason": query["reason"]}
    erasing = order(if_version=if_match(), context=context)
    return _shown(erasure.erase_document(services().batches, batch_id, document_id, erasing))


@routes.call("GET", f"{BATCH}/audit", READERS, refuses=[404])
@routes.arguments(Page(), location="query")
@routes.response(200, list_of("audit", AuditSchema))
def audit(query: Mapping[str, Any], batch_id: int) -> Response:
    """List the audit trail, oldest row first; of an archived batch too."""
    return page("audit", *services().reads.audit.page(batch_id, query["limit"], query["cursor"]))


@routes.call("GET", f"{BATCH}/tasks", READERS, refuses=[404])
@routes.arguments(TasksQuery(), location="query")
@routes.response(200, list_of("tasks", TaskSchema))
def tasks(query: Mapping[str, Any], batch_id: int) -> Response:
    """List the tasks of a run in the order of their ids; without `run`, of the current one."""
    status = TaskStatus(query["status"]) if query["status"] else None
    wanted = Wanted(run=query["run"], status=status, by_id=True)
    after = str(query["cursor"]) if query["cursor"] else None
    found = services().reads.tasks.page(batch_id, wanted, query["limit"], after)
    return page("tasks", found.tasks, found.next_cursor)


@routes.call("GET", f"{BATCH}/results", READERS, refuses=[404])
@routes.arguments(ResultsQuery(), location="query")
@routes.response(200, {"type": "string"}, content_type=NDJSON)
def results(query: Mapping[str, Any], batch_id: int) -> Response:
    """Stream the finished analysis tasks of a run as JSON lines, in the order of their ids.

    Format `openai` has the completed ones as lines of an OpenAI Batch output file, `openai-errors` the failed ones.
    """
    return stream_lines(services().reads.results.lines(batch_id, query["run"], query["format"]))


@routes.call("GET", "/documents/<ident:document_id>/content", (*READERS, *WORKERS), refuses=[403, 404])
@routes.response(
    200, {"type": "string", "format": "binary"}, content_type="application/octet-stream", headers=MEDIA_TYPE
)
def document_content(document_id: int) -> Response:
    """Download a document as it was uploaded; with a worker's token, only while its task is leased."""
    document = services().reads.documents.content(document_id, current_caller().role is Role.WORKER)
    # A browser must never display it: an uploaded page must not run under this origin.
    response = spooled_answer(document.pieces, "application/octet-stream")
    response.headers["X-Media-Type"] = document.media_type.encode("ascii", "replace").decode()
    response.headers["Content-Disposition"] = "attachment"
    return response
