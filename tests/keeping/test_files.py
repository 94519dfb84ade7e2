"""Files that were made of a batch go with its answers; the input file is its sender's own."""

from app.errors import NotFound
from app.models import FileBatch
from app.services import Services
from app.services.input import edits
from app.services.upkeep.deletions import Deletions
from tests.services.stories import OPERATOR, create_of_file, finish_all, rows_of
from tests.support.waiting import wait_until

LINE = b'{"custom_id":"secret","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":["x"]}}'


def completed(services: Services) -> tuple[int, int]:
    """Make a batch of a file and take it to its end; return its number and that of its output file."""
    number = create_of_file(services, LINE, pairs={"a": "secret"})

    def settled() -> bool:
        services.sweeper.sweep()
        finish_all(services, number)
        return services.file_batches.show(f"batch_{number}").is_settled

    wait_until(settled, "the files of the batch")
    return number, services.file_batches.show(f"batch_{number}").row.output_file_id


def is_there(services: Services, number: int) -> bool:
    try:
        return bool(services.files.show(f"file-{number}"))
    except NotFound:
        return False


def test_the_files_of_a_purged_batch_are_deleted(services: Services) -> None:
    number, output = completed(services)
    other, kept = completed(services)
    assert is_there(services, output)
    edits.archive(services.batches, number, OPERATOR)
    assert services.purge.begin(number)
    list(Deletions(services.engine).slices())
    assert not is_there(services, output)
    assert is_there(services, kept)
    rows = {row.batch_id: row for row in rows_of(services, FileBatch)}
    assert rows[number].metadata is None
    assert rows[other].metadata == {"a": "secret"}
    assert len([file for file in services.files.page("batch", 10)[0] if file.filename == "in.jsonl"]) == 2
