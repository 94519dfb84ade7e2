"""Ready-made tasks on their way into the database: collected in temporary files, so that the transaction is short.

Everything that takes time (parsing, content keys, the search for duplicates) happens before the transaction begins.
The transaction only copies the rows, a few megabytes at a time; no more than that is ever in memory.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, insert

from app import db
from app.domain.answer.endpoints import endpoint_of
from app.domain.connection.abilities import LINES, Abilities, Target, is_unknown
from app.domain.content_keys import key_of_line
from app.domain.leases import TaskKind
from app.models import ReadyTarget
from app.services.input.bad_lines import BadLine, cut
from app.services.input.line_names import LineNames
from app.services.input.ready_rows import ReadyRow, ReadyRows

MOST_TARGETS = 1_000  # pairs of endpoint and model of one batch
LONGEST_MODEL = 200  # a longer name is no name of a model
_REMEMBERED = 1_000  # targets for which the workers are looked up once
_MANY = f"has one more pair of endpoint and model than a batch may have, which is {MOST_TARGETS:,}"
Numbered = tuple[int, Mapping[str, Any]]


class ReadyTasks:
    """Ready-made tasks in the order of their lines, each custom_id once, in private temporary files.

    `known` is what the known workers can do, `key` makes the content key of a line. For one thread; a context manager,
    which deletes the files.
    """

    def __init__(
        self, known: Collection[Abilities] = (), key: Callable[[Mapping[str, Any]], str] = key_of_line
    ) -> None:
        self._key = key
        self._no_worker_answers = lru_cache(_REMEMBERED)(lambda target: is_unknown(target, known))
        self._rows = ReadyRows()
        self._names = LineNames()
        self._targets: dict[Target, int] = {}
        self._numbers: dict[tuple[str, str], int] = {}  # of the targets, by url and model

    def __enter__(self) -> "ReadyTasks":
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return self._rows.count

    def add(self, lines: Sequence[Numbered]) -> dict[int, BadLine]:
        """Add lines; return the numbers of those that are left out, each with the reason.

        A line is left out if no worker answers it, or if the batch would need too much of its workers.
        """
        left_out: dict[int, BadLine] = {}
        numbers: list[int] = []
        rows: list[ReadyRow] = []
        for number, line in lines:
            try:
                target = self._target(line)
            except BadLine as error:
                left_out[number] = error
                continue
            numbers.append(number)
            body = orjson.dumps(line["body"])
            rows.append((line["custom_id"], line["method"], line["url"], body, self._key(line), target))
        self._names.add([row[0] for row in rows], numbers)
        self._rows.add(rows)
        return left_out

    def repeated(self) -> Iterator[dict[int, BadLine]]:
        """Iterate over the lines whose custom_id an earlier line has, with the reason; the tasks include them."""
        return self._names.repeated(self._rows.custom_ids())

    def write(self, connection: Connection, batch_id: int) -> None:
        """Copy the tasks into a batch, numbered from 1, within the caller's transaction."""
        targets = [
            {"batch_id": batch_id, "number": number, "endpoint": target.endpoint, "model": target.model}
            for target, number in self._targets.items()
        ]
        if targets:
            connection.execute(insert(db.table_of(ReadyTarget)), targets)
        self._rows.write(connection, batch_id)

    def _target(self, line: Mapping[str, Any]) -> int:
        """Number what a line needs of a worker, from 1 in the order of the lines. Raises BadLine."""
        url, model = line["url"], line["body"].get("model", "")
        if not (isinstance(model, str) and len(model) <= LONGEST_MODEL and "\0" not in model):
            model = ""  # it is no name of a model
        return self._numbers.get((url, model)) or self._new_target(url, model)

    def _new_target(self, url: str, model: str) -> int:
        target = Target(TaskKind.ANALYZE, LINES, model, endpoint_of(url))
        if self._no_worker_answers(target):
            of_model = f" with model {cut(model)!r}" if model else ""
            message = f"no known worker answers {target.endpoint}{of_model}: start one that does"
            raise BadLine(message, "model_not_found", "body.model")
        if target not in self._targets and len(self._targets) >= MOST_TARGETS:
            raise BadLine(_MANY)
        return self._numbers.setdefault((url, model), self._targets.setdefault(target, len(self._targets) + 1))
