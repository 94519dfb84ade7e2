"""Files and folders as documents of a batch, sent in portions."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from app.commands.service_command import Call

LINES = (".jsonl", ".jsonl.gz", ".ndjson")  # the endings of a file of ready-made tasks
MOST_FILES, MOST_BYTES = 500, 16 * 1024 * 1024  # of one call; one larger file is sent alone


def document_files(paths: Iterable[str]) -> list[Path]:
    """List the files, and those in the folders, in the order of their names. Names with a leading dot are left out."""
    found: list[Path] = []
    for path in map(Path, paths):
        inside = (
            sorted(each for each in path.rglob("*") if _is_shown(each.relative_to(path))) if path.is_dir() else [path]
        )
        files = [each for each in inside if each.is_file()]
        if not files:
            raise click.UsageError(f"There are no files in {path}.")
        found += files
    return found


def _is_shown(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)


def send_files(call: Call, batch: Mapping[str, Any], files: Iterable[Path]) -> Mapping[str, Any]:
    """Add files to a batch and return it. Those whose content the batch already has are named on stderr."""
    for portion in _portions(files):
        batch = call.client.add_files(batch["id"], portion)
        for each in batch.get("duplicates", ()):
            call.output.note(f"{each['name']} is left out: it has the content of {each['of']}.")
    return batch


def _portions(files: Iterable[Path]) -> Iterator[list[Path]]:
    portion: list[Path] = []
    size = 0
    for file in files:
        weight = file.stat().st_size
        if portion and (len(portion) == MOST_FILES or size + weight > MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(file)
        size += weight
    if portion:
        yield portion
