"""The files of a folder, as a worker reported them: each file with new content becomes a document and a staging task.

All of it is in the transaction of the folder's report: after a crash nothing is half done, and nothing is done twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app import db
from app.domain.documents import ERASED_NAME
from app.models import Document
from app.services.task import run_tasks
from app.services.task.task_counts import CountChanges
from app.services.task.task_rows import HeldTask

MOST_DOCUMENTS = 10_000
CHUNK = 1_000
BIGGEST_SIZE = 2**53
_LONGEST = {"name": 500, "path": 4096, "media_type": 200}
_documents = db.table_of(Document)
_FOLDERS = select(Document.id).where(
    Document.id.in_(bindparam("ids", expanding=True, type_=BigInteger)), Document.folder.is_not(None)
)
_KNOWN = select(Document.sha256, Document.folder, Document.name).where(
    Document.batch_id == bindparam("batch_id"),
    Document.run.is_(None),
    Document.erased_at.is_(None),
    Document.sha256.in_(bindparam("sums", expanding=True)),
)
_ERASED = select(Document.sha256).where(
    Document.batch_id == bindparam("batch_id"),
    Document.erased_at.is_not(None),
    Document.sha256.in_(bindparam("sums", expanding=True)),
)


class BadFolder(ValueError):
    """The result of a folder's task cannot be read; the message is a sentence."""


def known_contents(connection: Connection, batch_id: int, sums: Iterable[str]) -> dict[tuple[str, bool], str]:
    """Find the batch's own documents with these contents: their names, by SHA-256 and whether each is a file.

    Erased documents are left out: their content may be added again.
    """
    found: dict[tuple[str, bool], str] = {}
    for chunk in _chunks(sorted(set(sums))):
        rows = connection.execute(_KNOWN, {"batch_id": batch_id, "sums": chunk})
        found |= {(row.sha256, row.folder is None): row.name for row in rows}
    return found


def _erased_contents(connection: Connection, batch_id: int, sums: Iterable[str]) -> set[str]:
    """Find which contents were erased in a batch: no folder brings them back."""
    found: set[str] = set()
    for chunk in _chunks(sorted(set(sums))):
        found |= set(connection.execute(_ERASED, {"batch_id": batch_id, "sums": chunk}).scalars())
    return found


def folders_among(connection: Connection, tasks: Iterable[HeldTask]) -> set[int]:
    """Find which of these staging tasks resolve a folder; return their ids."""
    by_document = {task.document_id: task.id for task in tasks}
    if not by_document:
        return set()
    rows = connection.execute(_FOLDERS, {"ids": sorted(filter(None, by_document))}).scalars()
    return {by_document[document_id] for document_id in rows}


def files_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the files of a folder's report. Raises BadFolder."""
    files = result.get("documents")
    if not isinstance(files, list) or len(files) > MOST_DOCUMENTS:
        raise BadFolder(f"The result of a folder has to be a list of up to {MOST_DOCUMENTS} documents.")
    return [_file(number, each) for number, each in enumerate(files)]


def _file(number: int, file: Any) -> dict[str, Any]:
    if not isinstance(file, dict):
        raise BadFolder(f"Document {number} of the folder is not an object.")
    for name, longest in _LONGEST.items():
        value = file.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= longest or "\0" in value:
            raise BadFolder(f"Document {number} of the folder: {name} has to be a text of 1 to {longest} characters.")
    size, content = file.get("size_bytes"), file.get("sha256")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= BIGGEST_SIZE:
        raise BadFolder(f"Document {number} of the folder: size_bytes has to be a whole number.")
    if not isinstance(content, str) or len(content) != 64 or set(content) - set("0123456789abcdef"):
        raise BadFolder(f"Document {number} of the folder: sha256 has to be 64 hex digits.")
    return {name: file[name] for name in (*_LONGEST, "size_bytes", "sha256")}


def add(
    connection: Connection, task: HeldTask, files: Sequence[Mapping[str, Any]], counts: CountChanges, now: datetime
) -> list[dict[str, str]]:
    """Add the files of a folder to its batch's run, with a staging task for each, and count these.

    Returns the files left out since a document of the run has the same content, each as `{"name", "of"}`.
    """
    known = known_contents(connection, task.batch_id, (file["sha256"] for file in files))
    first = {content: name for (content, is_file), name in known.items() if is_file}
    first |= dict.fromkeys(_erased_contents(connection, task.batch_id, (file["sha256"] for file in files)), ERASED_NAME)
    new: dict[str, Mapping[str, Any]] = {}
    duplicates = []
    for file in files:
        if of := first.get(file["sha256"]):
            duplicates.append({"name": file["name"], "of": of})
        else:
            new[file["sha256"]] = file
            first[file["sha256"]] = file["name"]
    written = set(_insert(connection, task, new, now))
    duplicates += [{"name": new[each]["name"], "of": "another folder"} for each in new if each not in written]
    run_tasks.write_found_tasks(connection, task, counts, now)
    return duplicates


def _insert(
    connection: Connection, task: HeldTask, new: Mapping[str, Mapping[str, Any]], now: datetime
) -> Iterator[str]:
    common = {"batch_id": task.batch_id, "run": task.run, "parent_id": task.document_id, "created_at": now}
    make = postgresql_insert if db.is_postgresql(connection) else sqlite_insert
    statement = make(_documents).on_conflict_do_nothing().returning(_documents.c.sha256)
    # In the order of the key: two folders reported at once cannot deadlock.
    for chunk in _chunks(sorted(new)):
        yield from connection.execute(statement, [{**common, **new[each]} for each in chunk]).scalars()


def _chunks(values: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), CHUNK):
        yield list(values[start : start + CHUNK])
