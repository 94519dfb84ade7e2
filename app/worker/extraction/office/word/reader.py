"""Reads a Word document (.docx and its like) as its final view: insertions in, deletions out.

One walk over the XML, by local names: the namespaces differ between the variants of the format.
"""

from typing import Any

from app.worker.extraction.found import Found, TextLimit, left_out, omitted
from app.worker.extraction.office.archive import Archive, attribute, child, local
from app.worker.extraction.office.word.body import Body
from app.worker.extraction.office.word.numbering import Numbering

MARGINS = {"headerReference": "Header", "footerReference": "Footer"}


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read the body, then notes, headers and footers. Comments and pictures are counted."""
    archive = Archive(content, "Word")
    main = archive.main_part("word/document.xml")
    document = archive.xml(main)
    related = archive.related(main)
    body = Body(limit, _numbering(archive, related), archive.charts(main))
    blocks = body.blocks(child(document, "body") if child(document, "body") is not None else document)
    for kind, title in (("footnote", "Footnotes"), ("endnote", "Endnotes")):
        blocks += _notes(archive, related, body, kind, title)
    blocks += _margins(archive, related, document, body)
    return Found(
        "\n\n".join(blocks),
        {
            **archive.properties(),
            **left_out(
                omitted(body.counts["picture"], "picture"),
                omitted(body.counts["chart"], "chart or diagram", "charts or diagrams"),
                omitted(body.counts["object"], "embedded object"),
                omitted(body.counts["comment"], "comment"),
                omitted(body.counts["deletion"], "tracked deletion"),
            ),
        },
    )


def _part(related: dict[str, tuple[str, str]], kind: str) -> str | None:
    return next((name for found, name in related.values() if found == kind), None)


def _numbering(archive: Archive, related: dict[str, tuple[str, str]]) -> Numbering:
    return Numbering(archive.optional_xml(_part(related, "numbering")), archive.optional_xml(_part(related, "styles")))


def _notes(archive: Archive, related: dict[str, tuple[str, str]], body: Body, kind: str, title: str) -> list[str]:
    """Return the notes that the body refers to, in the order of their marks."""
    root = archive.optional_xml(_part(related, f"{kind}s"))
    if root is None or not body.notes[kind]:
        return []
    notes = {attribute(note, "id"): note for note in root if local(note.tag) == kind}
    lines = [title]
    for number, identifier in enumerate(body.notes[kind], 1):
        if identifier in notes:
            lines.append(f"[{number}] " + "\n".join(body.blocks(notes[identifier])))
    return ["\n".join(lines)]


def _margins(archive: Archive, related: dict[str, tuple[str, str]], document: Any, body: Body) -> list[str]:
    """Return headers and footers, each text once."""
    found: dict[str, None] = {}
    for section in document.iter("{*}sectPr"):
        for reference in section:
            name = MARGINS.get(local(reference.tag))
            identifier = next((value for key, value in reference.attrib.items() if local(key) == "id"), "")
            root = archive.optional_xml(related.get(identifier, ("", ""))[1]) if name else None
            if root is not None and (text := "\n".join(body.blocks(root))):
                found[f"{name}: {text}"] = None
    return list(found)
