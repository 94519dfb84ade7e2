"""Documents on their way into a batch: their rows, and which of them have content that the batch has already."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, insert

from app import db, portions
from app.models import Document
from app.services.batch.locked_batch import LockedBatch
from app.services.task import found_files

FOLDER_TYPE = "inode/directory"


class NewDocuments:
    """Documents to be added; of several with equal content only the first is added, the others are duplicates."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._duplicates: list[dict[str, str]] = []
        self._take({}, map(row_of, documents))

    def leave_out_known(self, connection: Connection, batch_id: int) -> None:
        """Leave out the documents whose content the batch has already."""
        rows, self.rows = self.rows, []
        wanted = [row["sha256"] for row in rows]
        self._take(found_files.known_contents(connection, batch_id, wanted), rows)

    def store(self, connection: Connection, locked: LockedBatch) -> Mapping[str, Any]:
        """Write the documents, numbered after the batch's last one; return the `duplicates` for the answer, if any."""
        common = {"batch_id": locked.batch.id, "created_at": locked.now}
        first = locked.batch.document_count - len(self.rows) + 1  # the batch's row counts them already
        numbered = ({**common, **row, "number": number} for number, row in enumerate(self.rows, first))
        for portion in portions.divide(numbered, lambda row: int(row["size_bytes"])):
            connection.execute(insert(db.table_of(Document)), portion)
        return {"duplicates": self._duplicates} if self._duplicates else {}

    def _take(self, known: dict[tuple[str, bool], str], rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            content = (row["sha256"], row["folder"] is None)  # a text may equal a pattern: it is no folder
            if content in known:
                self._duplicates.append({"name": row["name"], "of": known[content]})
            else:
                known[content] = row["name"]
                self.rows.append(row)


def row_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Make the columns of a document: `name`, `media_type`, and `text` or `content`; or `folder`."""
    folder = document.get("folder")
    content: bytes | None = document.get("content")
    data = content if content is not None else str(folder or document["text"]).encode()
    return {
        "name": folder or document["name"],
        "media_type": FOLDER_TYPE if folder else document["media_type"],
        "text": document.get("text"),
        "content": content,
        "folder": folder,
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
