"""The file of the answers that a batch has so far: written to a temporary file, because its size is sent first."""

import tempfile
from collections.abc import Iterator
from typing import IO, Any

from flask import Response

from app.domain.file.batches import BATCH
from app.domain.file.files import RESULTS, Purpose
from app.errors import NotFound
from app.services.file_batch.file_batches import ShownFileBatch
from app.v1.objects import seconds
from app.v1.octets import octets
from app.web.downloads import Place
from app.web.services import services

SPOOL_BYTES = 4 * 1024 * 1024  # a smaller file stays in memory
PIECE_BYTES = 1024 * 1024


class AnswersSoFar:
    """The answers at one moment; closed by its user, or at the end of its download. Takes a place for downloads."""

    def __init__(self, ident: str, shown: ShownFileBatch) -> None:
        self._ident = ident
        self._shown = shown
        self._place = Place()
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - see `close`
        try:
            for line in services().file_batches.answers_so_far(shown):
                self._spool.write(line)
            self._size_bytes = self._spool.tell()
            self._spool.seek(0)
        except BaseException:
            self.close()
            raise

    def file_object(self) -> dict[str, Any]:
        """Show it as a File."""
        return {
            "id": self._ident,
            "object": "file",
            "bytes": self._size_bytes,
            "created_at": seconds(self._shown.batch.created_at),
            "filename": f"{BATCH}{self._shown.batch.id}_results.jsonl",
            "purpose": Purpose.BATCH_OUTPUT,
            "status": "processed",
        }

    def download(self) -> Response:
        """Send it."""
        response = octets(self._pieces(), self._size_bytes, self._place)
        response.call_on_close(self.close)
        return response

    def close(self) -> None:
        """Delete the temporary file, and free the place."""
        self._place.release()
        self._spool.close()

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._spool.read(PIECE_BYTES):
            yield piece


def answers_so_far(ident: str) -> AnswersSoFar:
    """Read the answers that the file `ident` names. Raises NotFound, Busy."""
    try:
        shown = services().file_batches.show(f"{BATCH}{ident.removeprefix(RESULTS)}")
    except NotFound as error:
        raise NotFound("file", ident) from error
    return AnswersSoFar(ident, shown)
