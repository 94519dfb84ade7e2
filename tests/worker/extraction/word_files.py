"""Writes Word documents with python-docx, with raw XML for what python-docx cannot write."""

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from lxml import etree

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
NAMESPACES = (
    f'xmlns:w="{W}" xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


DELETED = '<w:del w:id="1" w:author="a"><w:r><w:delText>gone</w:delText></w:r></w:del>'


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(*runs: str, properties: str = "") -> str:
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{''.join(runs)}</w:p>"


def word(body: str, write: Callable[[Any], None] = lambda document: None, **parts: str) -> bytes:
    """Write a document that begins with this XML, with the prefixes of NAMESPACES; `parts` are notes and so on."""
    document, file = docx.Document(), io.BytesIO()
    for kind, xml in parts.items():
        content = f"<w:{kind} {NAMESPACES}>{xml}</w:{kind}>".encode()
        if kind == "numbering":
            document.part.numbering_part._element[:] = list(etree.fromstring(content))
            continue
        media_type = f"application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}+xml"
        part = Part(PackURI(f"/word/{kind}.xml"), media_type, content, document.part.package)
        document.part.relate_to(part, f"{RELATIONSHIP_TYPE.STYLES.rpartition('/')[0]}/{kind}")
    write(document)
    document.save(file)
    # As text: lxml takes a time by the square of its size to move a table into another document.
    begin, new = b"<w:body>", f"<w:body {NAMESPACES}>{body}".encode()
    return renamed(file.getvalue(), lambda name, part: (name, part.replace(begin, new, 1)))


def renamed(content: bytes, change: Callable[[str, bytes], tuple[str, bytes]]) -> bytes:
    """Write the parts of a file again, with other names or contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(*change(name, old.read(name)))
    return file.getvalue()


def strict(content: bytes) -> bytes:
    """Give a document the namespaces of the variant Strict."""

    def change(name: str, part: bytes) -> tuple[str, bytes]:
        part = re.sub(
            rb"http://schemas.openxmlformats.org/(wordprocessingml|drawingml)/2006/main",
            rb"http://purl.oclc.org/ooxml/\1/main",
            part,
        )
        return name, part.replace(
            b"http://schemas.openxmlformats.org/officeDocument/2006/", b"http://purl.oclc.org/ooxml/officeDocument/"
        )

    return renamed(content, change)


def onedrive(content: bytes) -> bytes:
    """Name the main part as OneDrive does."""

    def change(name: str, part: bytes) -> tuple[str, bytes]:
        return name.replace("document.xml", "document2.xml"), part.replace(b"word/document.xml", b"word/document2.xml")

    return renamed(content, change)


def macro(content: bytes) -> bytes:
    """Give the main part the type of a document with macros."""
    plain, other = (
        b"openxmlformats-officedocument.wordprocessingml.document.main",
        b"ms-word.document.macroEnabled.main",
    )
    return renamed(content, lambda name, part: (name, part.replace(plain, other)))
