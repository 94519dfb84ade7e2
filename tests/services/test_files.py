"""Files in the database: nobody sees half of one, and the bytes that nobody can read any more are deleted."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app import db
from app.db import reading, transaction
from app.domain.file.files import Purpose, UploadStatus
from app.errors import Invalid, NotFound, TooLarge
from app.models import File, FileChunk, FilePart, Upload
from app.services import Services
from app.services.file import purge, uploads
from app.services.file.chunks import CHUNK_BYTES
from app.services.file.files import NewFile, StoredFile
from app.services.file.uploads import NewUpload
from app.services.file.uploads import Upload as ShownUpload

NEW = NewFile("a.jsonl", Purpose.BATCH)
HOUR = timedelta(hours=1)


def store(services: Services, data: bytes, new: NewFile = NEW) -> StoredFile:
    with services.files.draft() as draft:
        draft.writer.write(data)
        return draft.finish(new)


def upload(services: Services, *pieces: bytes) -> tuple[ShownUpload, list[str]]:
    new = services.uploads.create(NewUpload(NEW, "text/plain", sum(map(len, pieces))))
    parts = []
    for piece in pieces:
        with services.uploads.draft(f"upload_{new.id}") as draft:
            draft.writer.write(piece)
            parts.append(f"part_{draft.finish().id}")
    return new, parts


def left(services: Services) -> tuple[int, int]:
    """Count the parts and chunks that are stored."""
    with reading(services.engine) as connection:
        parts = connection.execute(select(func.count()).select_from(FilePart)).scalar_one()
        return parts, connection.execute(select(func.count()).select_from(FileChunk)).scalar_one()


def age(services: Services, table: type[File | Upload], by: timedelta) -> None:
    """Make everything of a table older."""
    rows = db.table_of(table)
    with transaction(services.engine) as connection:
        for row in connection.execute(select(rows)).all():
            values = {"created_at": row.created_at - by, "expires_at": row.expires_at and row.expires_at - by}
            connection.execute(update(rows).where(rows.c.id == row.id).values(values))


def test_a_file_that_is_not_finished_is_not_there(services: Services) -> None:
    with services.files.draft() as draft:
        draft.writer.write(b"a")
        with pytest.raises(NotFound):
            services.files.show(f"file-{draft.file_id}")
        assert services.files.page(None, 10) == ([], False)
        stored = draft.finish(NEW)
    assert services.files.show(f"file-{stored.id}") == stored


def test_a_file_that_was_given_up_is_deleted(services: Services) -> None:
    def too_large() -> None:
        with services.files.draft(most_bytes=3) as draft:
            draft.writer.write(b"a" * 3)
            draft.writer.flush()
            draft.writer.write(b"a")

    with pytest.raises(TooLarge):
        too_large()
    assert left(services) == (1, 1)
    purge.purge(services.engine)
    assert left(services) == (0, 0)


def test_an_upload_takes_so_many_parts(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_PARTS", 2)
    shown, parts = upload(services, b"a", b"b")
    with pytest.raises(Invalid, match="2 parts"), services.uploads.draft(f"upload_{shown.id}"):
        pass
    assert services.uploads.complete(f"upload_{shown.id}", parts, None).status is UploadStatus.COMPLETED


def test_the_bytes_of_a_deleted_file_go_and_no_others(services: Services) -> None:
    kept, gone = store(services, b"kept"), store(services, b"g" * 70 * CHUNK_BYTES)
    services.files.delete(f"file-{gone.id}")
    purge.purge(services.engine)
    assert left(services) == (1, 1)
    assert b"".join(services.files.content(kept)) == b"kept"
    assert store(services, b"").id > gone.id  # a number is not given again


def test_a_file_expires(services: Services) -> None:
    short = store(services, b"short", NewFile("a", Purpose.BATCH, 3600))
    store(services, b"long", NewFile("b", Purpose.BATCH, 2 * 86_400))
    age(services, File, HOUR)
    with pytest.raises(NotFound):
        services.files.show(f"file-{short.id}")
    assert [each.filename for each in services.files.page(None, 10)[0]] == ["b"]
    purge.purge(services.engine)
    assert left(services) == (1, 1)


def test_an_upload_expires(services: Services) -> None:
    new, parts = upload(services, b"ab", b"cd")
    age(services, Upload, HOUR)
    with pytest.raises(Invalid) as refused:
        services.uploads.complete(f"upload_{new.id}", parts, None)
    assert UploadStatus.EXPIRED in refused.value.detail
    purge.purge(services.engine)
    assert left(services) == (0, 0)


def test_the_parts_of_a_completed_upload_stay(services: Services) -> None:
    new, parts = upload(services, b"ab", b"unused", b"cd")
    with pytest.raises(Invalid):
        services.uploads.complete(f"upload_{new.id}", parts[::2], None)  # fewer bytes than were announced
    new, parts = upload(services, b"ab", b"cd")
    done = services.uploads.complete(f"upload_{new.id}", parts, None)
    age(services, Upload, HOUR)
    purge.purge(services.engine)
    assert left(services) == (2, 2)
    assert done.file is not None
    assert b"".join(services.files.content(done.file)) == b"abcd"
    services.files.delete(f"file-{done.file.id}")
    purge.purge(services.engine)
    assert left(services) == (0, 0)
