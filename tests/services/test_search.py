"""Contract 5: a batch is found by number or a part of its name, a task by number, a document by how its name begins."""

from typing import Any

import pytest
from sqlalchemy import text

from app.services import Services
from app.services.input import edits, erasure
from app.services.search import search
from app.services.search.search import FoundKind, SearchPlace
from tests.services.stories import OPERATOR, act, create, document, tasks_of


def batch_of(services: Services, name: str, *documents: str) -> int:
    body = {
        "name": name,
        "documents": [document(each, f"text of {each} in {name}") for each in documents],
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": "local", "model": "m", "params": {}}],
        "options": {},
    }
    return int(edits.create_batch(services.batches, body, OPERATOR)["id"])


def found(services: Services, words: str, kind: FoundKind | None = None, limit: int = 50) -> list[tuple[str, str]]:
    """All that is found, page after page."""
    rows, place = services.search.page(words, kind, limit)
    while place is not None:
        assert len(rows) <= limit * 100
        more, place = services.search.page(words, kind, limit, SearchPlace.read(str(place)))
        rows += more
    return [(each.kind, each.name) for each in rows]


def test_each_kind_by_what_it_is_found_by(services: Services) -> None:
    letters = batch_of(services, "Letters of May", "Invoice-7.txt", "invoice-8.txt", "a letter.txt")
    batch_of(services, "invoices", "other.txt")
    assert found(services, "INVOICE") == [
        ("batch", "invoices"),
        ("document", "Invoice-7.txt"),
        ("document", "invoice-8.txt"),
    ]
    assert found(services, "of may") == [("batch", "Letters of May")]
    assert found(services, "voice-7") == []
    assert found(services, str(letters), FoundKind.BATCH) == [("batch", "Letters of May")]
    assert found(services, f"#{letters}", FoundKind.BATCH) == [("batch", "Letters of May")]
    act(services, letters, "stage")
    (task, *_) = tasks_of(services, letters)
    rows, _ = services.search.page(task["id"], FoundKind.TASK)
    assert [(each.number, each.batch_id, each.batch_name) for each in rows] == [
        (int(task["id"]), letters, "Letters of May")
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_have_each_once_and_in_order(services: Services, limit: int) -> None:
    names = [f"n{each}.txt" for each in range(3)]
    batch_of(services, "n one", *names)
    batch_of(services, "n two", "N0.txt", "x.txt")
    batches = [("batch", "n two"), ("batch", "n one")]
    documents = [("document", each) for each in ("n0.txt", "N0.txt", "n1.txt", "n2.txt")]
    assert found(services, "n", limit=limit) == batches + documents
    assert found(services, "n", FoundKind.DOCUMENT, limit) == documents


def test_signs_of_patterns_are_letters_as_others(services: Services) -> None:
    batch_of(services, "100 %", "50%_of.txt", "50 of.txt")
    assert found(services, "50%") == [("document", "50%_of.txt")]
    assert found(services, "%") == [("batch", "100 %")]


def test_what_is_archived_or_erased_is_not_found(services: Services) -> None:
    gone, kept = batch_of(services, "gone", "n1.txt"), batch_of(services, "kept", "n2.txt", "n3.txt")
    edits.archive(services.batches, gone, OPERATOR)
    first = services.reads.documents.page(kept)[0][0]
    erasure.erase_document(services.batches, kept, first["id"], OPERATOR)
    assert found(services, "n", FoundKind.DOCUMENT) == [("document", "n3.txt")]
    assert found(services, "gone") == []


def test_a_page_looks_at_a_bounded_number(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is short where documents of archived batches are between; the next page goes on."""
    assert search.LOOKED_AT == 500
    documents = [f"n{each:04}.txt" for each in range(search.LOOKED_AT)]
    gone = batch_of(services, "gone", *documents)
    edits.archive(services.batches, gone, OPERATOR)
    batch_of(services, "kept", "n9.txt")
    rows, place = services.search.page("n", FoundKind.DOCUMENT)
    assert rows == []
    assert place is not None
    rows, place = services.search.page("n", FoundKind.DOCUMENT, after=place)
    assert ([each.name for each in rows], place) == (["n9.txt"], None)


def test_documents_are_found_by_the_index(services: Services) -> None:
    """However many there are: the statement reads a part of the index, and sorts nothing."""
    create(services, documents=200)
    plans = []
    with services.engine.connect() as connection:
        is_postgresql = connection.dialect.name == "postgresql"
        if is_postgresql:
            for other_way in ("enable_seqscan", "enable_bitmapscan"):  # cheaper for so few rows
                connection.execute(text(f"SET LOCAL {other_way} = off"))
        values = {"first": "1", "words": "1", "after": 1}
        for statement in (search._named, search._named.where(search._further)):
            compiled = statement.compile(connection)
            wanted: Any = {name: {**compiled.params, **values}[name] for name in compiled.params}
            if compiled.positiontup is not None:
                wanted = tuple(wanted[name] for name in compiled.positiontup)
            explain = "EXPLAIN " if is_postgresql else "EXPLAIN QUERY PLAN "
            plans.append(" ".join(str(row) for row in connection.exec_driver_sql(f"{explain}{compiled}", wanted)))
    for plan in plans:
        assert "ix_documents_name" in plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("cursor", ["", "batch", "batch:", "batch:x:", "letter:1:a", "document:-1:a"])
def test_a_cursor_of_another_list(cursor: str) -> None:
    with pytest.raises(search.Invalid, match="did not come from this list"):
        SearchPlace.read(cursor)
