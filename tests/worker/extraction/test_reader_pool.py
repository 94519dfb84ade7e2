"""Hostile and broken files: a reader process dies, hangs or uses up its memory, and the next document is still read."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from app.worker.extraction import Limits, Unreadable, read
from app.worker.extraction.reader_pool import ReaderPool, pool_for
from app.worker.extraction.reader_process import ROOT
from tests.support import documents
from tests.support.waiting import wait_until
from tests.worker.extraction import hostile
from tests.worker.extraction.hostile import HERE, LAUGHS, SHEET_XML, WORD_XML, repacked

WORD, EXCEL = documents.word(["a", "b"]), documents.excel(["a"])
LIMITS = Limits(seconds=2, memory_mib=400, characters=1_000_000)


@pytest.fixture
def pool() -> ReaderPool:
    """The pool that `extract` uses too with these limits: starting a reader process takes longer than most tests."""
    return pool_for(LIMITS)


@pytest.fixture
def new_pool() -> Iterator[ReaderPool]:
    """A pool that has no process yet."""
    made = ReaderPool(LIMITS)
    yield made
    made.close()


def why(pool: ReaderPool, reader: str, content: bytes = b"") -> str:
    with pytest.raises(Unreadable) as caught:
        pool.read(f"{HERE}:{reader}", content, None)
    return caught.value.why


def still_reads(pool: ReaderPool) -> bool:
    return "agreement" in pool.read("app.worker.extraction.pdf.reader:read", documents.pdf(["agreement"]), None).text


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        ("hang", "took more than 2 s"),
        ("spin", "took more than 2 s"),
        ("hog", "took more than 400 MiB of memory"),
        ("crash", "died of it (it ended: SIGSEGV)"),
        ("deep", "is nested too deeply"),
    ],
)
def test_a_hostile_file_ends_only_its_own_child(pool: ReaderPool, reader: str, reason: str) -> None:
    assert still_reads(pool)
    assert reason in why(pool, reader)
    assert still_reads(pool)


def test_a_child_that_was_killed_from_outside_is_replaced(pool: ReaderPool) -> None:
    pid = int(pool.read(f"{HERE}:chatter", b"", None).text.split()[0])
    os.kill(pid, signal.SIGKILL)
    assert still_reads(pool)


def test_a_child_is_used_again_and_knows_no_secret(new_pool: ReaderPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_TOKEN", "secret")
    first, second = (new_pool.read(f"{HERE}:chatter", b"", None).text for _ in range(2))
    assert first == second
    assert "INTERLOCK_TOKEN" not in first


def test_a_document_is_tried_once_more_where_its_child_died_of_no_limit(pool: ReaderPool, tmp_path: Path) -> None:
    assert pool.read(f"{HERE}:crash_once", str(tmp_path / "mark").encode(), None).text == "survived"


def test_a_missing_reader_is_not_blamed_on_the_document(pool: ReaderPool) -> None:
    with pytest.raises(RuntimeError, match="a reader is missing"):
        pool.read("no.such.module:read", b"", None)
    assert still_reads(pool)


def test_many_threads_read_at_once_while_some_children_die(pool: ReaderPool) -> None:
    def one(number: int) -> bool:
        return bool(why(pool, "crash")) if number % 4 == 0 else still_reads(pool)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(one, range(40)))


WORD_OF = {
    "laughs": lambda: LAUGHS + WORD_XML % b"<w:p><w:r><w:t>&a9;</w:t></w:r></w:p>",
    "deep": lambda: WORD_XML % (b"<w:p>" * 100_000),
    "bomb": lambda: bytes(513 * 1024 * 1024),
    "memory": lambda: WORD_XML % (b"<w:p><w:r><w:t>aa</w:t></w:r></w:p>" * 900_000),
}
FILES: dict[str, Callable[[], bytes]] = {
    **{name: partial(lambda xml: repacked(WORD, word__document_xml=xml()), xml) for name, xml in WORD_OF.items()},
    "laughs in Excel": lambda: repacked(EXCEL, xl__worksheets__sheet1_xml=LAUGHS + SHEET_XML % b"<row>&a9;</row>"),
    "a cycle": hostile.cyclic_pdf,
}


@pytest.mark.parametrize("name", FILES)
def test_files_made_to_harm(name: str) -> None:
    with pytest.raises(Unreadable):
        read(FILES[name](), name, "", LIMITS)
    assert "agreement" in read(documents.pdf(["agreement"]), "sound", "", LIMITS).text


@pytest.mark.parametrize("raw", [b"[" * 1_000_000, b"*a_ " * 100_000, b"![" * 300_000, b"<a " * 100_000])
def test_markdown_for_which_parsers_take_time_by_the_square_of_its_length(raw: bytes) -> None:
    assert read(raw, "a.md", "text/markdown", LIMITS).text == raw.decode().strip()


def test_what_lies_deep_is_read_to_its_end_or_not_at_all() -> None:
    assert read(b"<html>" + b"<div>" * 1_500 + b"word", "a", "text/html", LIMITS).text == "word"
    with pytest.raises(Unreadable, match="is nested too deeply"):
        read(b"<html>begin" + b"<div>" * 100_000 + b"word", "a", "text/html", LIMITS)


def test_a_pdf_of_ten_thousand_pages_is_read() -> None:
    found = read(documents.pdf(["agreement"], pages=10_000), "long", "application/pdf", Limits())
    assert found.metadata["pages"] == 10_000
    assert found.text.endswith("page 10000")


def test_reader_processes_die_with_their_parent() -> None:
    """Even if the parent is killed: then they must end by themselves."""
    program = (
        "import signal; from app.worker.extraction import Limits;"
        "from app.worker.extraction.reader_pool import pool_for;"
        f"print(pool_for(Limits()).read('{HERE}:chatter', b'', None).text.split()[0], flush=True); signal.pause()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can be another user")
def test_another_user_has_the_limits_too() -> None:
    program = (
        "import os; from app.worker.extraction.reader_pool import ReaderPool;"
        "from app.worker.extraction import Limits, Unreadable\n"
        f"try: ReaderPool(Limits(memory_mib=400)).read('{HERE}:hog', b'', None)\n"
        "except Unreadable as error: print(os.getuid(), error.why)"
    )
    # A different user with read access to root's home, where this interpreter may be installed.
    another = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+dac_read_search"]
    command = [*another, "--ambient-caps=+dac_read_search", sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("65534 cannot be read within the limits"), done.stderr
    assert "more than 400 MiB" in done.stdout
