"""Writes the tasks of a run: staging tasks from documents, analysis tasks from staged texts or from ready-made lines.

They are written in slices, since a batch may have a million of them. Which slice is next follows from the counts:
a process that dies between two slices loses no task and writes none twice.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import JSON, BigInteger, Connection, bindparam, case, insert, literal, select

from app.db import UtcTime
from app.domain.content_keys import key_of, key_of_text
from app.domain.document.parts import Part, SplitRule, most_parts, with_part
from app.domain.documents import IMAGES, OnTooLong, PromptInput
from app.domain.leases import TaskKind, TaskStatus
from app.domain.prompts import filled_in, placeholders
from app.domain.reuse import redo_of
from app.models import Batch, Document, Model, Prompt, ReadyTask, Task
from app.services.task import analysis_tasks, earlier_answers
from app.services.task.earlier_answers import NewRun, NewTask
from app.services.task.erasure import OF_DOCUMENT
from app.services.task.task_counts import CountChanges
from app.services.task.task_rows import HeldTask

SLICE = 1_000  # tasks written by one transaction while it holds the batch

_run: Any = (bindparam("batch_id"), bindparam("run"))
_queued: Any = (
    literal(TaskStatus.QUEUED),
    literal(0),
    literal(False),
    literal(""),
    *[literal(0)] * 3,
    bindparam("now", type_=UtcTime),
    literal(0),
)
_COMMON = [
    "batch_id", "run", "status", "attempt", "critical", "past_leases", "input_tokens", "output_tokens", "cost_nanos",
    "available_at", "target", "kind",
]  # fmt: skip

_was_erased = Document.erased_at.is_not(None)
# An erased document has a task that is over: the numbers of documents have no gap, and the run goes on without it.
_FROM_DOCUMENTS = (
    insert(Task)
    .from_select(
        [*_COMMON, "document_id", "erased", "error", "finished_at"],
        select(
            *_run,
            case((_was_erased, literal(TaskStatus.COMPLETED)), else_=_queued[0]),
            *_queued[1:],
            literal(TaskKind.STAGE),
            Document.id,
            _was_erased,
            case((_was_erased, literal(OF_DOCUMENT, JSON))),
            case((_was_erased, bindparam("now", type_=UtcTime))),
        )
        .where(Document.batch_id == bindparam("batch_id"), Document.number > bindparam("written"))
        .order_by(Document.number)
        .limit(bindparam("slice")),
        include_defaults=False,
    )
    .returning(Task.status)
)
_FROM_FOLDER = insert(Task).from_select(
    [*_COMMON, "document_id"],
    select(*_run, *_queued, literal(TaskKind.STAGE), Document.id)
    .where(
        Document.batch_id == bindparam("batch_id"),
        Document.run == bindparam("run"),
        Document.parent_id == bindparam("folder_id"),
    )
    .order_by(Document.path),
    include_defaults=False,
)
# Numbers have no gaps. The range has both ends: without statistics, as just after an import, the planner would
# otherwise sort all that is left of a million rows.
_in_slice = (
    ReadyTask.batch_id == bindparam("batch_id"),
    ReadyTask.number > bindparam("written"),
    ReadyTask.number <= bindparam("written") + bindparam("slice"),
)
_READY = select(ReadyTask.number, ReadyTask.content_key, ReadyTask.target).where(*_in_slice).order_by(ReadyTask.number)
# The same as for each line of _READY, without an earlier answer: nothing of it has to leave the database.
_FROM_READY = insert(Task).from_select(
    [*_COMMON, "content_key", "ready_number"],
    select(*_run, *_queued[:-1], ReadyTask.target, literal(TaskKind.ANALYZE), ReadyTask.content_key, ReadyTask.number)
    .where(*_in_slice)
    .order_by(ReadyTask.number),
    include_defaults=False,
)
_STAGED: Any = (
    select(
        Task.id,
        Task.batch_id,
        Task.run,
        Task.document_id,
        Document.name,
        Document.sha256,
        Batch.reuse,
        Batch.on_too_long,
    )
    .join(Document, Document.id == Task.document_id)
    .join(Batch, Batch.id == Task.batch_id)
    .where(Task.id.in_(bindparam("ids", expanding=True, type_=BigInteger)))
    .order_by(Task.batch_id, Task.id)
)
_SPLIT_RULES = (
    select(
        Task.id,
        Document.name,
        Batch.part_characters,
        Batch.overlap_characters,
        Batch.prompt_count,
        Batch.model_count,
    )
    .join(Document, Document.id == Task.document_id)
    .join(Batch, Batch.id == Task.batch_id)
    .where(
        Task.id.in_(bindparam("ids", expanding=True, type_=BigInteger)),
        Batch.on_too_long == OnTooLong.SPLIT,
        select(Prompt.number).where(Prompt.batch_id == Task.batch_id, Prompt.input == PromptInput.TEXT).exists(),
    )
)
_PROMPTS = (
    select(Prompt.number, Prompt.name, Prompt.text, Prompt.system, Prompt.schema, Prompt.input)
    .where(Prompt.batch_id == bindparam("batch_id"))
    .order_by(Prompt.number)
)
_MODELS = (
    select(Model.number, Model.connection, Model.model, Model.params)
    .where(Model.batch_id == bindparam("batch_id"))
    .order_by(Model.number)
)


class _Question(NamedTuple):
    """A prompt with a model: put to every document."""

    key: str
    prompt_number: int
    model_number: int
    words: frozenset[str]  # placeholders
    redo: bool
    input: PromptInput


def write_slice(connection: Connection, run: NewRun, ready_made: bool, written: int, now: datetime) -> int:
    """Write the next slice of a run's first tasks, under the batch's lock; return how many it wrote.

    `written` is how many first tasks the run has: analysis tasks if they are `ready_made`, staging tasks if not.
    """
    counts = CountChanges()
    values = {"batch_id": run.batch_id, "run": run.run, "now": now, "slice": SLICE, "written": written}
    if ready_made and earlier_answers.has_none(run):
        amount = connection.execute(_FROM_READY, values).rowcount
        counts.add((run.batch_id, run.run, TaskKind.ANALYZE), TaskStatus.QUEUED, amount)
    elif ready_made:
        rows = connection.execute(_READY, values)
        new_tasks = [
            NewTask(row.content_key, run.redo is not None, ready_number=row.number, target=row.target) for row in rows
        ]
        amount = len(new_tasks)
        analysis_tasks.write(connection, run, new_tasks, counts, now)
    else:
        made = Counter(connection.execute(_FROM_DOCUMENTS, values).scalars())
        amount, run_key = made.total(), (run.batch_id, run.run, TaskKind.STAGE)
        for status, of_status in made.items():
            counts.add(run_key, TaskStatus(status), of_status)
        counts.note(run_key, skipped=made[TaskStatus.COMPLETED])
    if amount:
        counts.write(connection, now)
    return amount


def split_rules(connection: Connection, task_ids: Iterable[int]) -> dict[int, SplitRule]:
    """Find how the documents of staging tasks are split, by task; those of batches that split none are left out."""
    ids = sorted(set(task_ids))
    rows: Any = connection.execute(_SPLIT_RULES, {"ids": ids}) if ids else []
    return {
        row.id: SplitRule(
            row.name, row.part_characters, row.overlap_characters, most_parts(row.prompt_count, row.model_count)
        )
        for row in rows
    }


def write_analysis_tasks(
    connection: Connection,
    results: Mapping[int, Mapping[str, Any]],
    parts: Mapping[int, Sequence[Part]],
    counts: CountChanges,
    now: datetime,
) -> None:
    """Write and count the analysis tasks, prompts x models, of staging tasks; `results` has theirs by id.

    A document without text has tasks of the prompts that get pictures. Of one that is split, each of its `parts` has
    tasks of the prompts that get text.
    """
    staged = connection.execute(_STAGED, {"ids": list(results)}).all()
    for batch_id, of_batch in groupby(staged, key=lambda row: row.batch_id):
        documents = list(of_batch)
        run = NewRun(batch_id, documents[0].run, redo_of(documents[0].reuse), documents[0].on_too_long)
        questions = _questions(connection, run)
        new_tasks = (
            NewTask(
                key_of(each.key, question.key, filled_in(question.words, document.name, each.metadata)),
                question.redo,
                document.document_id,
                document.id,
                question.prompt_number,
                question.model_number,
                target=question.model_number,
                part=each.part,
                parts=each.parts,
            )
            for document in documents
            for inputs in [_inputs(document.sha256, results[document.id], parts.get(document.id, ()))]
            for question in questions
            for each in inputs[question.input]
        )
        analysis_tasks.write(connection, run, new_tasks, counts, now)


class _Input(NamedTuple):
    """What a question is put about: a whole document, or a part of it."""

    key: str
    metadata: Any
    part: int = 0
    parts: int = 0


def _inputs(sha256: str, result: Mapping[str, Any], parts: Sequence[Part]) -> dict[PromptInput, list[_Input]]:
    """Find what the prompts get of a document, by the form in which they get it, with hashes."""
    text, metadata = result["text"], result.get("metadata")
    texts = [_Input(key_of_text(text), metadata)] if text.strip() else []
    if parts:
        texts = [
            _Input(
                key_of_text(text[part.start : part.end]), with_part(metadata, number, len(parts)), number, len(parts)
            )
            for number, part in enumerate(parts, 1)
        ]
    return {PromptInput.IMAGES: [_Input(key_of(sha256, IMAGES), metadata)], PromptInput.TEXT: texts}


def _questions(connection: Connection, run: NewRun) -> list[_Question]:
    values = {"batch_id": run.batch_id}
    models = [(each, key_of(each.connection, each.model, each.params)) for each in connection.execute(_MODELS, values)]
    return [
        _Question(
            key_of(prompt.text, prompt.system, prompt.schema, model_key),
            prompt.number,
            model.number,
            frozenset(placeholders(prompt.text, prompt.system)),
            run.redo is not None and run.redo.takes(prompt.name, model.connection, model.model),
            PromptInput(prompt.input),
        )
        for prompt in connection.execute(_PROMPTS, values)
        for model, model_key in models
    ]


def write_found_tasks(connection: Connection, folder: HeldTask, counts: CountChanges, now: datetime) -> None:
    """Write and count the staging tasks of the documents that were added for a folder's files."""
    values = {"batch_id": folder.batch_id, "run": folder.run, "folder_id": folder.document_id, "now": now}
    amount = connection.execute(_FROM_FOLDER, values).rowcount
    counts.add(folder.run_key, TaskStatus.QUEUED, amount)
    counts.note(folder.run_key, found=amount)
