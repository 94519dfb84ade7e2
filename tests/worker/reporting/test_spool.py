"""The spool: whole files or none, what the next start takes over, and what goes there."""

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.worker.reporting import unsent_reports
from app.worker.reporting.outbox import Outbox
from app.worker.reporting.reports import Report, completed
from app.worker.reporting.spool import Spool, SpooledReport
from app.worker.reporting.unsent_reports import UnsentReports
from app.worker.service.client import Client
from app.worker.task import Task
from tests.support.waiting import LIMIT_SECONDS
from tests.worker.conftest import others
from tests.worker.fake_service import FakeService

URL = "http://127.0.0.1:5000"


def report(number: int, text: str = "x") -> Report:
    return completed(Task(str(number), 1, 1, "ANALYZE", 1, {}, f"t.{number}"), {"text": text})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "var" / "spool"


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.report"))


def fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


def taken(folder: Path, url: str = URL) -> list[str]:
    """The tasks whose reports a new start takes over."""
    spool = Spool(folder, url)
    found = [each.task_id for each in spool.take_over()]
    spool.close()
    return found


def test_the_next_start_takes_over_what_is_there_in_order(folder: Path) -> None:
    first = Spool(folder, URL)
    assert first.take_over() == []
    written = [first.write(report(n)) for n in range(12)]
    first.remove(written[3])
    first.close()
    spool = Spool(folder, URL)
    found = spool.take_over()
    assert [each.task_id for each in found] == [str(n) for n in range(12) if n != 3]
    assert found[0] == written[0]
    assert (found[0].lease_token, found[0].has_result) == ("t.0", True)
    assert found[5].body == report(6).body
    spool.close()


def test_nothing_is_made_before_there_is_something_to_write(folder: Path) -> None:
    Spool(folder, URL).take_over()
    assert not folder.exists()


def test_only_the_owner_can_read_it(folder: Path) -> None:
    spool = Spool(folder, URL)
    path = spool.write(report(1)).path
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == path.parent.parent.stat().st_mode & 0o777 == 0o700
    spool.close()


def test_what_another_worker_holds_and_what_is_for_another_service_is_left(folder: Path) -> None:
    holder, other = Spool(folder, URL), Spool(folder, "http://10.0.0.1:5000")
    holder.write(report(1))
    other.write(report(2))
    other.close()
    assert taken(folder) == []
    holder.close()
    assert taken(folder) == ["1"]
    assert taken(folder, "http://10.0.0.1:5000") == ["2"]


def test_a_torn_file_is_set_aside_with_a_log_line(folder: Path) -> None:
    spool = Spool(folder, URL)
    torn, empty, whole, draft = (spool.write(report(n)).path for n in range(4))
    torn.write_bytes(torn.read_bytes()[:-5])
    empty.write_bytes(b"")
    draft.rename(draft.with_suffix(".draft"))  # the worker was killed just before this name was changed
    spool.close()
    with capture_logs() as logs:
        assert taken(folder) == ["2", "3"]
    assert [line["event"] for line in logs].count("spool_file_torn") == 2
    assert sorted(path.name for path in folder.rglob("*.torn")) == [f"{torn.name}.torn", f"{empty.name}.torn"]
    assert taken(folder) == ["2", "3"]
    assert whole.exists()


def test_a_failed_write_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(folder, URL)
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="No space"):
            spool.write(report(1))
    spool.write(report(2))
    assert [path.suffix for path in folder.rglob("*.*") if path.is_file()] == [".report"]
    spool.close()
    assert taken(folder) == ["2"]


def test_beyond_the_limit_of_memory_reports_are_on_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsent_reports, "MAX_MEMORY_BYTES", 2500)
    unsent = UnsentReports(Spool(folder, URL), 100, 0.0)
    for n in range(5):
        unsent.put(report(n, "x" * 1000))
    assert not unsent.is_full
    assert unsent.in_memory() == 2
    assert len(files(folder)) == 3
    bulk = unsent.next_bulk()
    assert [each.body for each in bulk] == [report(n, "x" * 1000).body for n in range(5)]
    unsent.settle(4)
    assert len(files(folder)) == 1
    unsent.put(report(5, "x" * 1000))  # there is room in memory again
    assert unsent.in_memory() == 1
    unsent.settle(2)
    assert len(unsent) == 0
    assert files(folder) == []


def test_without_a_spool_and_with_a_full_disk_it_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsent_reports, "MAX_MEMORY_BYTES", 1500)
    without, with_one = UnsentReports(None, 100, 0.0), UnsentReports(Spool(folder, URL), 100, 0.0)
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(Spool, "write", fail)
        for unsent in (without, with_one):
            for n in range(3):
                unsent.put(report(n, "x" * 1000))
            assert unsent.is_full
            assert unsent.in_memory() == 3
    assert [line["event"] for line in logs] == ["spool_failed"]
    with_one.spool()  # there is room on the disk again
    assert not with_one.is_full
    assert with_one.in_memory() == 0
    assert [each.body for each in with_one.next_bulk()] == [report(n, "x" * 1000).body for n in range(3)]
    without.settle(3)
    assert not without.is_full


def test_after_a_full_disk_an_empty_outbox_is_not_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spool, "write", fail)
    unsent = UnsentReports(Spool(folder, URL), 100, 0.0)
    unsent.put(report(1))
    unsent.spool()
    assert unsent.is_full
    unsent.settle(1)
    unsent.put(report(2))
    assert not unsent.is_full


def test_what_was_answered_while_it_was_written_is_not_kept(folder: Path) -> None:
    spool = Spool(folder, URL)
    unsent = UnsentReports(spool, 100, 0.0)
    unsent.put(report(1))
    write = spool.write

    def written_and_settled(each: Report) -> SpooledReport:
        unsent.settle(1)
        return write(each)

    spool.write = written_and_settled  # type: ignore[method-assign]
    unsent.spool()
    assert files(folder) == []
    assert len(unsent) == 0


def test_a_file_that_is_gone_is_set_aside_and_the_others_are_sent(
    service: FakeService, client: Client, folder: Path
) -> None:
    service.add(3)
    spool = Spool(folder, URL)
    for row in client.lease(3, 0).rows:
        spool.write(completed(Task(row["id"], 1, 1, "ANALYZE", 1, {}, row["lease_token"]), {}))
    spool.close()
    settled: list[str] = []
    outbox = Outbox(client, settled.extend, spool=Spool(folder, URL))
    files(folder)[1].unlink()
    outbox.finish(time.monotonic() + LIMIT_SECONDS)
    with others(client):
        outbox.run()
    assert sorted(settled) == ["t.1.1", "t.3.1"]
    assert outbox.close() == (0, 1)
    assert service.statuses() == {"COMPLETED": 2, "LEASED": 1}
