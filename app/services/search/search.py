"""Finds batches, tasks and documents, over all batches that are not archived.

A batch is found by its number or a part of its name, a task by its number, and a document by the beginning of its name,
in any case. The beginning alone, since an index knows it: the number of documents does not slow it down.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, and_, bindparam, or_, select, tuple_

from app import db
from app.db import reading
from app.domain.ids import plain_number
from app.domain.transitions import BatchState
from app.errors import Invalid
from app.models import Batch, Document, Task
from app.services.reads.batches import Filter, Sort, ids_of
from app.sql_functions import folded

LONGEST = 200  # characters of what is searched for
LOOKED_AT = 500  # documents with such a name that one page looks at
_LAST_CHARACTER = "\U0010ffff"

_batches = db.table_of(Batch)
_documents = db.table_of(Document)
_tasks = db.table_of(Task)
_BATCHES = select(_batches.c.id, _batches.c.name, _batches.c.state).where(
    _batches.c.id.in_(bindparam("ids", expanding=True))
)
_TASK = (
    select(_tasks.c.id, _tasks.c.status, _tasks.c.batch_id, _batches.c.name, _batches.c.state)
    .join(_batches, _batches.c.id == _tasks.c.batch_id)
    .where(_tasks.c.id == bindparam("number"), _batches.c.archived_at.is_(None))
)
_key = folded(_documents.c.name)
_named = (
    select(_documents.c.id, _documents.c.batch_id, _documents.c.run, _documents.c.name, _key.label("key"))
    .where(
        _key >= folded(bindparam("first")),
        _key < folded(bindparam("words")) + _LAST_CHARACTER,
        _documents.c.erased_at.is_(None),
    )
    .order_by(_key, _documents.c.id)
    .limit(LOOKED_AT)
)
_further = tuple_(_key, _documents.c.id) > tuple_(folded(bindparam("first")), bindparam("after"))


def _with_batches(named: Any) -> Select[Any]:
    """Select documents with their batches; those that the batch's present run does not read are not `shown`."""
    is_read = or_(named.c.run.is_(None), named.c.run == _batches.c.run)
    shown = and_(_batches.c.archived_at.is_(None), is_read).label("shown")
    columns = (named.c.id, named.c.batch_id, named.c.name.label("document_name"), named.c.key)
    statement = select(*columns, _batches.c.name, _batches.c.state, shown)
    return statement.join(_batches, _batches.c.id == named.c.batch_id).order_by(named.c.key, named.c.id)


_DOCUMENTS = _with_batches(_named.subquery())
_DOCUMENTS_AFTER = _with_batches(_named.where(_further).subquery())


class FoundKind(StrEnum):
    """What is found, in the order of a page."""

    BATCH = "batch"
    TASK = "task"
    DOCUMENT = "document"


class SearchPlace(NamedTuple):
    """The last one found on a page, as a cursor: its kind and number, and the key of a document's name."""

    kind: FoundKind
    number: int
    key: str = ""

    @classmethod
    def read(cls, cursor: str) -> "SearchPlace":
        """Read a cursor. Raises Invalid."""
        kind, _, rest = cursor.partition(":")
        digits, _, key = rest.partition(":")
        number = plain_number(digits)
        if kind not in set(FoundKind) or number is None:
            raise Invalid("This cursor did not come from this list.", errors={"cursor": ["is unknown"]})
        return cls(FoundKind(kind), number, key)

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}:{self.key}"


@dataclass(frozen=True)
class Found:
    """A batch, a task or a document, with its batch."""

    kind: FoundKind
    number: int
    name: str
    batch_id: int
    batch_name: str
    batch_state: BatchState
    place: SearchPlace

    def view(self) -> dict[str, Any]:
        """Show it as in the API."""
        return {
            "kind": self.kind,
            "id": str(self.number),
            "name": self.name,
            "batch_id": self.batch_id,
            "batch_name": self.batch_name,
            "batch_state": self.batch_state,
        }


class Search:
    """Searches over all batches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self, words: str, kind: FoundKind | None = None, limit: int = 50, after: SearchPlace | None = None
    ) -> tuple[list[Found], SearchPlace | None]:
        """Give a page of what has a name or a number, of one kind or of all, and the place of the next page, or None.

        A page looks at the next LOOKED_AT documents: where they are of archived batches, it is short.
        """
        if not words:
            return [], None
        kinds = list(FoundKind) if kind is None else [kind]
        if after is not None:
            kinds = [each for each in kinds if list(FoundKind).index(each) >= list(FoundKind).index(after.kind)]
        found: list[Found] = []
        with reading(self._engine) as connection:
            for each in kinds:
                place = after if after is not None and after.kind is each else None
                more, further = _FINDERS[each](connection, words, place, limit - len(found))
                found += more
                if further is not None:
                    return found, further
                if len(found) == limit and each is not kinds[-1]:
                    return found, found[-1].place
        return found, None


def _find_batches(
    connection: Connection, words: str, after: SearchPlace | None, limit: int
) -> tuple[list[Found], SearchPlace | None]:
    ids, further = ids_of(connection, Filter(name=words), Sort.NEWEST, after and after.number, limit)
    rows = {row.id: row for row in connection.execute(_BATCHES, {"ids": ids})} if ids else {}
    found = [_found(FoundKind.BATCH, each, rows[each].name, each, rows[each]) for each in ids if each in rows]
    return found, None if further is None else SearchPlace(FoundKind.BATCH, further)


def _find_task(
    connection: Connection, words: str, after: SearchPlace | None, limit: int
) -> tuple[list[Found], SearchPlace | None]:
    number = plain_number(words.removeprefix("#"))
    if number is None or after is not None:
        return [], None
    rows = connection.execute(_TASK, {"number": number}).all()
    return [_found(FoundKind.TASK, row.id, f"Task {row.id}", row.batch_id, row) for row in rows], None


def _find_documents(
    connection: Connection, words: str, after: SearchPlace | None, limit: int
) -> tuple[list[Found], SearchPlace | None]:
    if after is None:
        rows = connection.execute(_DOCUMENTS, {"first": words, "words": words}).all()
    else:
        values = {"first": after.key, "words": words, "after": after.number}
        rows = connection.execute(_DOCUMENTS_AFTER, values).all()
    found = [
        _found(FoundKind.DOCUMENT, row.id, row.document_name, row.batch_id, row, row.key) for row in rows if row.shown
    ]
    if len(found) > limit:
        return found[:limit], found[limit - 1].place
    last = rows[-1] if len(rows) == LOOKED_AT else None
    return found, None if last is None else SearchPlace(FoundKind.DOCUMENT, last.id, last.key)


def _found(kind: FoundKind, number: int, name: str, batch_id: int, row: Any, key: str = "") -> Found:
    return Found(kind, number, name, batch_id, row.name, row.state, SearchPlace(kind, number, key))


Finder = Callable[[Connection, str, SearchPlace | None, int], tuple[list[Found], SearchPlace | None]]
_FINDERS: dict[FoundKind, Finder] = {
    FoundKind.BATCH: _find_batches,
    FoundKind.TASK: _find_task,
    FoundKind.DOCUMENT: _find_documents,
}
