"""Reads an electronic book (.epub): a ZIP archive of HTML pages, in the order in which they are read."""

import posixpath
from typing import Any
from urllib.parse import unquote

from app.worker.extraction.found import ENCRYPTED, Found, TextLimit, Unreadable, broken, left_out, omitted
from app.worker.extraction.html.reader import read as read_html
from app.worker.extraction.office.archive import Archive, local

CONTAINER = "META-INF/container.xml"
PAGES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read the pages of the spine."""
    archive = Archive(content, "EPUB")
    if "META-INF/rights.xml" in archive:
        raise Unreadable(ENCRYPTED)
    package, folder = _package(archive)
    items = {item.get("id"): item for item in package.iter("{*}item")}
    names = [items[each.get("idref")] for each in package.iter("{*}itemref") if each.get("idref") in items]
    texts, missing, pictures = [], 0, 0
    for item in names:
        name = posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
        if item.get("media-type") not in PAGES or name not in archive:
            missing += 1
            continue
        page = read_html(archive.read(name), None, limit)
        pictures += sum(int(each["what"].split()[0]) for each in page.metadata.get("left_out", []))
        texts.append(page.text)
    facts = {local(each.tag): (each.text or "").strip() for each in package.iter("{*}title", "{*}language")}
    metadata = {"title": facts.get("title") or None, "language": facts.get("language") or None, "pages": len(texts)}
    omissions = left_out(omitted(pictures, "picture without a description"), omitted(missing, "missing page"))
    return Found("\n\n".join(filter(None, texts)), {**metadata, **omissions})


def _package(archive: Archive) -> tuple[Any, str]:
    root = archive.xml(CONTAINER)
    name = next((each.get("full-path") for each in root.iter("{*}rootfile") if each.get("full-path")), None)
    if name is None:
        raise broken("EPUB", "it names no package")
    return archive.xml(name), posixpath.dirname(name)
