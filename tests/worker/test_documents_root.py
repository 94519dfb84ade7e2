"""The worker's root: patterns match what a shell would match, and no path leads out of it."""

import os
from pathlib import Path

import pytest

from app.worker import documents_root, pattern_search
from app.worker.documents_root import DocumentsRoot
from app.worker.pattern_search import NotFoundThere, PathRefused, TooManyFiles


@pytest.fixture
def root(tmp_path: Path) -> DocumentsRoot:
    for name in ("a.pdf", "in/b.pdf", "in/deep/c.pdf", "in/deep/d.txt", ".hidden/e.pdf", "in/.f.pdf", "in/g[1].pdf"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "secret.pdf").write_text("secret")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.pdf").write_text("secret")
    return DocumentsRoot(tmp_path / "root")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a.pdf", ["a.pdf"]),
        ("*.pdf", ["a.pdf"]),
        ("*/*.pdf", ["in/b.pdf", "in/g[1].pdf"]),
        ("**/*.pdf", ["a.pdf", "in/b.pdf", "in/deep/c.pdf", "in/g[1].pdf"]),
        ("in/**/*.pdf", ["in/b.pdf", "in/deep/c.pdf", "in/g[1].pdf"]),
        ("in/**", ["in/b.pdf", "in/deep/c.pdf", "in/deep/d.txt", "in/g[1].pdf"]),
        ("in/*/?.t[xy]t", ["in/deep/d.txt"]),
        (".hidden/*.pdf", [".hidden/e.pdf"]),
        ("in/.*", ["in/.f.pdf"]),
        ("./a.pdf", ["a.pdf"]),
        ("in", []),
        ("nothing/*.pdf", []),
    ],
)
def test_patterns(root: DocumentsRoot, pattern: str, found: list[str]) -> None:
    assert root.matches(pattern) == found


@pytest.mark.parametrize("path", ["../secret.pdf", "in/../../secret.pdf", "/etc/passwd", "//etc/passwd", "", "a\0"])
def test_paths_that_are_not_below_the_root(root: DocumentsRoot, path: str) -> None:
    for use in (root.matches, root.locate, lambda path: root.read(path, 10)):
        with pytest.raises(PathRefused):
            use(path)


def test_links_may_lead_within_the_root_and_not_out_of_it(root: DocumentsRoot) -> None:
    (root.folder / "same.pdf").symlink_to("in/b.pdf")
    assert root.read("same.pdf", 100) == b"in/b.pdf"
    (root.folder / "file.pdf").symlink_to(root.folder.parent / "secret.pdf")
    (root.folder / "folder").symlink_to(root.folder.parent / "out")
    for path in ("file.pdf", "folder/x.pdf"):
        with pytest.raises(PathRefused, match="leads out"):
            root.read(path, 100)
        with pytest.raises(PathRefused, match="leads out"):
            root.matches(path)
    assert "folder/x.pdf" not in root.matches("in/**")


def test_a_folder_that_became_a_link_after_it_was_looked_at(
    root: DocumentsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DocumentsRoot, "locate", lambda self, path: self.folder / path)
    (root.folder / "folder").symlink_to(root.folder.parent / "out")
    with pytest.raises(PathRefused, match="leads out"):
        root.read("folder/x.pdf", 100)


def test_what_is_no_file(root: DocumentsRoot) -> None:
    os.mkfifo(root.folder / "pipe")
    (root.folder / "ring").symlink_to("ring")
    (root.folder / "dangling").symlink_to("no")
    assert root.matches("*") == ["a.pdf"]
    for path in ("pipe", "ring", "dangling", "in", "no", "x" * 5000):
        with pytest.raises(NotFoundThere):
            root.read(path, 100)


def test_a_root_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(NotFoundThere, match="does not exist"):
        DocumentsRoot(tmp_path / "no").matches("*")


def test_no_more_is_read_than_the_limit(root: DocumentsRoot) -> None:
    assert root.read("a.pdf", 2) == b"a.p"


def test_limits(root: DocumentsRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_root, "MAX_FILES", 2)
    with pytest.raises(TooManyFiles, match="more than 2 files"):
        root.matches("in/**")
    monkeypatch.setattr(pattern_search, "MAX_ENTRIES", 3)
    with pytest.raises(TooManyFiles):
        root.matches("in/deep/**/*.no/**/*")
    with pytest.raises(TooManyFiles):
        root.matches("*", stopped=lambda: True)
