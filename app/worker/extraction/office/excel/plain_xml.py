"""The XML of a sheet as a text in which patterns find the cells.

A parser that calls a function for each tag takes a third more time for the whole workbook.
"""

import html
import re
from typing import Any
from xml.parsers import expat

from lxml import etree

from app.worker.extraction.found import broken

P = r"(?:[\w.-]+:)?"  # the prefix of a tag
_PRONUNCIATION = re.compile(rf"<{P}rPh[\s>].*?</{P}rPh\s*>", re.S)
_PIECE = re.compile(rf"<{P}t(?:\s[^>]*)?>([^<]*)<")
_EXCEL_REFERENCE = re.compile("_x((?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})_")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*[\"']([^\"']*)[\"']")


def plain_xml(content: bytes) -> str:
    """Return XML as a text in which each `<` begins a tag: without comments and the like. Raises Unreadable."""
    unusual: list[Any] = []

    def note(*facts: Any) -> None:
        unusual.append(facts)

    def refuse(*_: Any) -> None:
        raise broken("Excel", "it has a document type, which no office program writes")

    def declared(_: str, encoding: str | None, __: int) -> None:
        if (encoding or "utf-8").lower() != "utf-8":
            note(encoding)

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.XmlDeclHandler = refuse, declared
    parser.CommentHandler = parser.ProcessingInstructionHandler = parser.StartCdataSectionHandler = note
    try:
        parser.Parse(content, True)
        if unusual or content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return _rewritten(content)
        return content.decode("utf-8-sig")
    except (expat.ExpatError, etree.LxmlError, ValueError) as error:
        raise broken("Excel", error) from error


def _rewritten(content: bytes) -> str:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True, strip_cdata=True
    )
    return str(etree.tostring(etree.fromstring(content, parser), encoding="unicode"))


def text_of(inner: str) -> str:
    """Join the pieces of a string that are in an element, without a guide to its pronunciation."""
    return "".join(_PIECE.findall(_PRONUNCIATION.sub("", inner) if "rPh" in inner else inner))


def attributes_of(tag: str) -> dict[str, str]:
    """Return the attributes of a tag."""
    return dict(_ATTRIBUTE.findall(tag))


def unescaped(text: str) -> str:
    """Return a text with the characters that its references stand for, also those of Excel: `_x000D_` is a line end."""
    text = html.unescape(text) if "&" in text else text
    return _EXCEL_REFERENCE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text
