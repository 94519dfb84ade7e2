"""What stands on a sheet beside its cells: comments and text boxes are read, charts are read, pictures are counted."""

from typing import Any

from app.worker.extraction.office.archive import Archive, local, reference
from app.worker.extraction.office.charts import lines_of_chart


def notes_of(archive: Archive, sheet: str, counts: dict[str, int]) -> list[str]:
    """Return the comments, text boxes and charts of a sheet as lines, and add to the counts."""
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
            lines += _drawn(root, archive.charts(name), counts)
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


def _drawn(root: Any, charts: dict[str, Any], counts: dict[str, int]) -> list[str]:
    lines: list[str] = []
    for element in root.iter():
        name = local(element.tag)
        if name == "pic":
            counts["picture"] += 1
        elif name == "chart":
            found = lines_of_chart(charts.get(reference(element)))
            counts["chart"] += not found
            lines += found
        elif name == "txBody":
            paragraphs = ("".join(text.text or "" for text in each.iter("{*}t")) for each in element.iter("{*}p"))
            if text := " ".join(" ".join(paragraphs).split()):
                lines.append(f"Text box: {text}")
    return lines
