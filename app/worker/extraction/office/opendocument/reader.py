"""Reads an OpenDocument file (.odt .ods .odp): its body, notes, headers and footers."""

from typing import Any

from app.worker.extraction.found import ENCRYPTED, Found, TextLimit, Unreadable, broken, left_out, omitted
from app.worker.extraction.office.archive import Archive, local
from app.worker.extraction.office.opendocument.body import Body
from app.worker.extraction.office.opendocument.styles import list_formats

MAX_NAMES = 1000
MARGINS = {"header": "Header", "header-first": "Header", "footer": "Footer", "footer-first": "Footer"}


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read a document in its final view. Comments, pictures and deletions are counted."""
    archive = Archive(content, "OpenDocument")
    if b"encryption-data" in (archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in archive else b""):
        raise Unreadable(ENCRYPTED)
    root, styles = archive.xml("content.xml"), archive.optional_xml("styles.xml")
    found = next(iter(root.iter("{*}body")), None)
    if found is None:
        raise broken("OpenDocument", "it has no body")
    body = Body(limit, list_formats(root, styles))
    blocks = body.blocks(found)
    if body.notes:
        blocks.append("\n".join(["Notes", *body.notes]))
    blocks += _margins(styles, body)
    missing = left_out(
        omitted(body.counts["picture"], "picture"),
        omitted(body.counts["object"], "chart or embedded object", "charts or embedded objects"),
        omitted(body.counts["comment"], "comment"),
        omitted(body.counts["deletion"], "tracked deletion"),
    )
    counts = {
        "sheets": body.sheets[:MAX_NAMES] or None,
        "rows": body.rows if body.sheets else None,
        "slides": body.slides or None,
    }
    return Found("\n\n".join(blocks), {**_properties(archive), **counts, **missing})


def _properties(archive: Archive) -> dict[str, Any]:
    root = archive.optional_xml("meta.xml")
    found = {local(each.tag): (each.text or "").strip() for each in root.iter()} if root is not None else {}
    return {"title": found.get("title") or None, "language": found.get("language") or None}


def _margins(styles: Any, body: Body) -> list[str]:
    found: dict[str, None] = {}
    for page in styles.iter("{*}master-page") if styles is not None else ():
        for element in page:
            name = MARGINS.get(local(element.tag))
            if name and (text := "\n".join(body.blocks(element))):
                found[f"{name}: {text}"] = None
    return list(found)
