"""What stands on a sheet beside its cells: comments and text boxes are read, pictures and charts are counted."""

from typing import Any

from app.worker.extraction.office.archive import Archive, local

COUNTED = {"pic": "picture", "graphicFrame": "chart"}


def notes_of(archive: Archive, sheet: str, counts: dict[str, int]) -> list[str]:
    """Return the comments and text boxes of a sheet as lines, and add to the counts."""
    related = archive.related(sheet)
    lines: list[str] = []
    threaded = [name for kind, name in related.values() if kind == "threadedComment"]
    for kind, name in related.values():
        root = archive.optional_xml(name) if kind in ("comments", "threadedComment", "drawing") else None
        if root is None:
            continue
        if kind == "threadedComment":
            lines += _threaded(root)
        elif kind == "comments" and not threaded:
            lines += _comments(root)
        elif kind == "drawing":
            lines += _boxes(root, counts)
    return lines


def _comments(root: Any) -> list[str]:
    authors = [" ".join(author.itertext()) for author in root.iter("{*}author")]
    lines = []
    for comment in root.iter("{*}comment"):
        number = comment.get("authorId") or ""
        author = authors[int(number)] if number.isdigit() and int(number) < len(authors) else ""
        text = " ".join("".join(piece.text or "" for piece in comment.iter("{*}t")).split())
        by = f" ({author})" if author and not text.startswith(author) else ""
        lines.append(f"Comment {comment.get('ref') or ''}{by}: {text}")
    return [line for line in lines if not line.endswith(": ")]


def _threaded(root: Any) -> list[str]:
    return [
        f"Comment {comment.get('ref') or ''}: {' '.join(''.join(text.itertext()).split())}"
        for comment in root
        for text in comment
        if local(text.tag) == "text"
    ]


def _boxes(root: Any, counts: dict[str, int]) -> list[str]:
    lines = []
    for element in root.iter():
        name = local(element.tag)
        if name in COUNTED:
            counts[COUNTED[name]] += 1
        elif name == "txBody":
            paragraphs = ("".join(text.text or "" for text in each.iter("{*}t")) for each in element.iter("{*}p"))
            if text := " ".join(" ".join(paragraphs).split()):
                lines.append(f"Text box: {text}")
    return lines
