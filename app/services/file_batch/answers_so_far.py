"""The answers that a batch has so far, as lines of an output file. Made anew for each reader, since they grow."""

from collections.abc import Iterator

import orjson
from sqlalchemy import Engine

from app.domain.answer.openai_lines import output_line
from app.domain.leases import TaskStatus
from app.services.batch.batch_rows import BatchRecord
from app.services.file_batch.line_walk import walk


def answers_so_far(engine: Engine, batch: BatchRecord) -> Iterator[bytes]:
    """Walk over the lines of the present run that are answered, in the order of the input."""
    for task in walk(engine, batch.id, batch.run):
        if task.status == TaskStatus.COMPLETED and not task.erased:
            yield orjson.dumps(output_line(task), option=orjson.OPT_APPEND_NEWLINE)
